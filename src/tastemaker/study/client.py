"""A person's browser as code: joins by a link, sees tasks and images, votes; the same requests that the pages send.

A lost connection is tried again with growing pauses and the same key, so that no vote is lost or counted twice.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any, Literal

import httpx2
from pydantic import BaseModel, ConfigDict

from tastemaker.base.errors import UserError
from tastemaker.study.vote import Kind

CSRF = "csrf-token"
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds
BUSY = (429, 502, 503, 504)
"""Answers after which the same request is sent again."""


class Question(BaseModel):
    """A question of a task; ``hidden``: it is asked before the prompt is shown."""

    model_config = ConfigDict(frozen=True)

    name: str
    text: str = ""
    hidden: bool = False


class Progress(BaseModel):
    """How many tasks the rater has done, of how many at the most."""

    model_config = ConfigDict(frozen=True)

    done: int
    of: int


class View(BaseModel):
    """What stands on the screen: a task, or in ``state`` why there is none.

    ``answered`` are the answers that stand, by position on the screen; ``prompt`` None is hidden; ``images`` and
    ``next_images`` are addresses, in the order on the screen.
    """

    model_config = ConfigDict(frozen=True)

    state: Literal["task", "done", "wait", "paused", "closed", "between"]
    progress: Progress
    can_undo: bool
    token: str = ""
    kind: Kind | None = None
    questions: tuple[Question, ...] = ()
    answered: Mapping[str, Any] = {}
    prompt: str | None = None
    images: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    next_images: tuple[str, ...] = ()

    @property
    def open(self) -> list[Question]:
        """The questions without an answer, in the order in which they are asked."""
        return [question for question in self.questions if question.name not in self.answered]


class Refused(UserError):
    """The server said no, with this HTTP ``status``; asking again would change nothing."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(f"the server refused ({status}): {line}")
        self.status = status


class Client:
    """One person at the study at ``url``; to be used from one thread.

    Every method raises `Refused` when the server says no, and `UserError` when there was no answer for ``patience``
    seconds. ``transport`` carries the requests, where not the network alone.
    """

    def __init__(self, url: str, patience: float = 60.0, transport: httpx2.BaseTransport | None = None) -> None:
        self.url, self.patience = url.rstrip("/"), patience
        self._http = httpx2.Client(base_url=self.url, transport=transport, follow_redirects=True, timeout=patience)
        self._csrf = ""

    def join(self, link: str, name: str, passphrase: str = "") -> None:
        """Agree and join by a personal ``link`` or the open one (its path is enough), or come back by it."""
        self._open(link)
        form = {"name": name, "passphrase": passphrase, "agree": "on", "csrf": self._csrf}
        self._read(self._ask("POST", link, data=form))

    def task(self) -> View:
        """The task in hand, or a new one."""
        return View.model_validate_json(self._ask("GET", "/api/task").text)

    def image(self, address: str) -> bytes:
        """The encoded image at an address of `View.images`."""
        return self._ask("GET", address).content

    def vote(self, token: str, answers: Mapping[str, Any], seconds: float, key: str = "") -> View:
        """Answer questions of the task ``token`` by positions on the screen; what is on the screen then."""
        return self._post("vote", token=token, answers=dict(answers), seconds=seconds, key=key or new_key())

    def undo(self, key: str = "") -> View:
        """Take back the answers to the last task done; that task."""
        return self._post("undo", key=key or new_key())

    def skip(self, token: str) -> View:
        """Leave the task to others; the next one."""
        return self._post("skip", token=token)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post(self, what: str, **body: Any) -> View:
        if not self._csrf:
            self._open("/task")
        answer = self._ask("POST", f"/api/{what}", json=body, headers={"X-CSRF-Token": self._csrf})
        return View.model_validate_json(answer.text)

    def _open(self, path: str) -> None:
        self._read(self._ask("GET", path))

    def _read(self, page: httpx2.Response) -> None:
        """Keep what the page carries for the posts that follow."""
        self._csrf = read_page(page.text).csrf or self._csrf

    def _ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        started = time.monotonic()
        for pause in pauses():
            try:
                answer = self._http.request(method, path, **more)
            except httpx2.TransportError as error:
                said = f"{type(error).__name__} {error}".strip()
            else:
                if answer.status_code not in BUSY:
                    return _accepted(answer)
                said = f"status {answer.status_code}"
                pause = max(pause, _wanted(answer))
            if time.monotonic() + pause > started + self.patience:
                raise UserError(
                    f"{self.url}: gave no answer for {self.patience:g} s ({said}); see that the server runs and that "
                    "the address is right"
                )
            time.sleep(pause)
        raise AssertionError("pauses never end")


class Page(HTMLParser):
    """What a client needs of a page: the token for posts, and the line that says what went wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.csrf, self.alert, self._tag = "", "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Find the token, and where the line begins."""
        found = dict(attrs)
        if found.get("name") == CSRF:
            self.csrf = found.get("content") or ""
        if found.get("role") == "alert":
            self._tag = tag

    def handle_endtag(self, tag: str) -> None:
        """The line ends with its element."""
        self._tag = "" if tag == self._tag else self._tag

    def handle_data(self, data: str) -> None:
        """Keep the text of the line."""
        self.alert += data if self._tag else ""


def read_page(text: str) -> Page:
    """What is in the HTML ``text``."""
    page = Page()
    page.feed(text)
    return page


def new_key() -> str:
    """A key for one post: the same when it is sent again, never the same as another's."""
    return secrets.token_urlsafe(12)


def pauses() -> Iterator[float]:
    """Seconds between one try and the next: each twice the last, up to `LONGEST_PAUSE`; without an end."""
    return (min(LONGEST_PAUSE, FIRST_PAUSE * 2**number) for number in itertools.count())


def _accepted(answer: httpx2.Response) -> httpx2.Response:
    """``answer``, unless it says no."""
    if answer.is_success:
        return answer
    if answer.headers.get("content-type", "").startswith("application/json"):
        line = str(answer.json().get("error", ""))
    else:
        line = read_page(answer.text).alert
    raise Refused(answer.status_code, " ".join(line.split()) or answer.reason_phrase)


def _wanted(answer: httpx2.Response) -> float:
    """The seconds that a busy server asks to wait."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isdigit() else 0.0
