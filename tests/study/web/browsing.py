"""A real study behind a real server, and a person before it in a real, headless Chromium."""

from __future__ import annotations

import io
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image as Pillow
from PIL import ImageDraw
from playwright.sync_api import Browser, Page, Response, expect, sync_playwright

from tastemaker.base.files import sha256_bytes
from tastemaker.study.build import Source, Task, create
from tastemaker.study.db import Store
from tastemaker.study.design import Design, Plan, read
from tastemaker.study.raters import invite
from tastemaker.study.series import Series, open_series
from tastemaker.study.vote import Image, Vote, canonical
from tastemaker.study.votes import every
from tastemaker.study.web.app import make_app
from tastemaker.study.web.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENS = {"phone": (375, 740), "desk": (1280, 800)}
QUESTIONS = ("preference", "appeal", "alignment")
KINDS: dict[str, dict[str, Any]] = {
    "pair": {"images": 2, "questions": QUESTIONS},
    "best": {"images": 4},
    "rank": {"images": 3},
    "flag": {"images": 2, "flags": ("hands", "unsafe")},
}
ANSWERS: dict[str, list[Any]] = {
    "pair": [1, "tie", 0],
    "best": [3, 0, 2],
    "rank": [[2, 0, 1], [0, 1, 2], [1, 2, 0]],
    "flag": [[[1, "hands"], [0, "unsafe"]], [], [[0, "hands"]]],
}
PAIR_KEYS = {0: ("ArrowLeft", "1"), 1: ("ArrowRight", "2"), "tie": ("ArrowDown", "0", "t")}
NUMBERS = """() => [...document.querySelectorAll("#images img")].map(image => {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  return pen.getImageData(0, 0, 1, 1).data[2];
})"""
"""Which images stand on the screen: `drawn` writes an image's number into the colour of its corner."""


def drawn(number: int, size: int = 96) -> bytes:
    image = Pillow.new("RGB", (size, size), ((53 * number) % 200 + 30, (97 * number) % 256, number))
    ImageDraw.Draw(image).ellipse((size // 5, size // 5, size - size // 5, size - size // 5), "white")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def make(folder: Path, kind: str = "pair", items: int = 3, images: int = 2, size: int = 96, **plan: Any) -> Path:
    """A study; image ``place`` of the item with the prompt `prompt n` is `drawn` number ``n · images + place``."""
    pictures = [drawn(number, size) for number in range(items * images)]
    shown = [Image(sha256_bytes(picture), f"model-{number % images}") for number, picture in enumerate(pictures)]
    tasks = [Task(f"prompt {n}", tuple(shown[n * images : (n + 1) * images])) for n in range(items)]
    fixed = {"title": "Which pictures do people like?", "kind": kind, "consent": "You see pictures.\nYou answer."}
    create(folder, Plan(**fixed | plan), Source(tasks, lambda: iter(pictures)))
    return folder


@dataclass
class Server:
    """The study in ``folder``, served on the same port however often it is stopped and started."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    _series: Series | None = None
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self.port = self.port or _free_port()
        self._series = open_series(self.folder)
        app = make_app(self._series, Settings(port=self.port, **{"reads": 6000, "posts": 6000} | self.settings))
        self._server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="critical"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: bool(self._server and self._server.started))

    def stop(self) -> None:
        if self._server and self._thread and self._series:
            self._server.should_exit = True
            self._thread.join(20)
            self._series.close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Store:
        found = self._series and self._series.current()
        assert found
        return found

    def invitation(self) -> str:
        return f"{self.url}/join/{invite(self.store)}"

    def votes(self) -> list[Vote]:
        return every(self.store)


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[Server]:
    server = Server(folder, settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@dataclass
class Person:
    """Somebody at a screen, who has a mouse or only ``keys``; remembers what was said and what came back."""

    page: Page
    keys: bool = False
    said: list[tuple[list[int], str, Any]] = field(default_factory=list)
    """What stood on the screen, the question's text, and the answer by position."""
    replies: list[Response] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """Errors of the page's script."""

    def __post_init__(self) -> None:
        self.page.on("response", lambda reply: self.replies.append(reply))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.set_default_timeout(15_000)

    def join(self, link: str, name: str = "Ada", wait: bool = True) -> None:
        self.page.goto(link)
        if self.keys:
            self._tab_to("#name").keyboard.type(name)
            self._tab_to("#agree").keyboard.press("Space")
            self._tab_to("button[type=submit]").keyboard.press("Enter")
        else:
            self.page.fill("#name", name)
            self.page.check("#agree")
            self.page.click("button[type=submit]")
        if wait:
            self.settle()

    def settle(self) -> str:
        """Wait until there is something to do or to read; `task` or `message`."""
        found = self.page.wait_for_selector("#task[aria-busy=false], #message:not([hidden])")
        return str(found and found.get_attribute("id"))

    def numbers(self) -> list[int]:
        return list(self.page.evaluate(NUMBERS))

    def answer(self, kind: str, what: Any) -> str:
        """Give an answer by position on the screen, and wait for what follows."""
        self.said.append((self.numbers(), self.page.inner_text("#question"), what))
        with self.page.expect_response("**/api/vote") as reply:
            (self._by_keys if self.keys else self._by_mouse)(kind, what)
        assert reply.value.status == 200, reply.value.text()
        return self.settle()

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def progress(self, text: str) -> None:
        expect(self.page.locator("#count")).to_have_text(text)

    def _by_mouse(self, kind: str, what: Any) -> None:
        picks = self.page.locator("#images .pick")
        if kind == "pair" and len(self.said) % 2:
            self.page.locator("#choices button").nth([0, "tie", 1].index(what)).click()
        elif kind == "pair":
            (self.page.get_by_role("button", name="Tie") if what == "tie" else picks.nth(what)).click()
        elif kind == "best":
            picks.nth(what).click()
        else:
            for each in what:
                (picks.nth(each) if kind == "rank" else self._box(*each)).click()
            self.page.get_by_role("button", name="Done").click()

    def _by_keys(self, kind: str, what: Any) -> None:
        press = self.page.keyboard.press
        if kind == "pair":
            before = sum(answer == what for _, _, answer in self.said)
            press(PAIR_KEYS[what][before % len(PAIR_KEYS[what])])
        elif kind == "best":
            press(str(what + 1))
        else:
            for each in what:
                press(str(each + 1)) if kind == "rank" else self._tab_to(_box(*each)).keyboard.press("Space")
            press("Enter")

    def _box(self, position: int, flag: str) -> Any:
        return self.page.locator(_box(position, flag))

    def _tab_to(self, selector: str) -> Page:
        for _ in range(40):
            if self.page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
                return self.page
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {selector}")


def person(chromium: Browser, screen: str = "desk", keys: bool = False) -> Person:
    width, height = SCREENS[screen]
    context = chromium.new_context(viewport={"width": width, "height": height}, has_touch=screen == "phone")
    return Person(context.new_page(), keys)


def begun(chromium: Browser, server: Server, **how: Any) -> Person:
    found = person(chromium, **how)
    found.join(server.invitation())
    return found


def kept(votes: Sequence[Vote]) -> list[tuple[int, str, Any, int]]:
    return [(vote.item, vote.question, vote.answer, vote.revision) for vote in votes]


def meant(folder: Path, person: Person) -> list[tuple[int, str, Any, int]]:
    """What the votes of ``person`` must be, by the pixels that stood on the screen and not by the database."""
    design = read(folder)
    return [(*_meant(design, numbers, answer), 0) for numbers, answer in _questions(design, person)]


def until(is_so: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def _questions(design: Design, person: Person) -> Iterator[tuple[list[int], tuple[str, Any]]]:
    words = {"prefer": "preference", "best": "preference", "nicer": "appeal", "fits": "alignment", "wrong": "flags"}
    for numbers, text, answer in person.said:
        name = next(name for word, name in words.items() if word in text)
        assert name in design.asked
        yield numbers, (name, answer)


def _meant(design: Design, numbers: Sequence[int], said: tuple[str, Any]) -> tuple[int, str, Any]:
    images, (question, answer) = len(numbers), said
    item = next(item for item in design.items if item.prompt == f"prompt {numbers[0] // images}")
    places = [number % images for number in numbers]
    if item.kind == "flag":
        return item.id, question, canonical([[places[position], flag] for position, flag in answer])
    if item.kind == "rank":
        return item.id, question, tuple(places[position] for position in answer)
    return item.id, question, answer if answer == "tie" else places[answer]


def _box(position: int, flag: str) -> str:
    return f'.flags input[data-image="{position}"][value="{flag}"]'


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
