"""A person's whole way in a real Chromium, by mouse and by keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from study.web import browsing
from study.web.browsing import (
    ANSWERS,
    CHROMIUM,
    KINDS,
    SCREENS,
    Person,
    Server,
    begun,
    kept,
    make,
    meant,
    person,
    served,
    until,
)
from tastemaker.study.db import set_state

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing.browser() as found:
        yield found


@pytest.mark.parametrize("keys", [False, True], ids=["mouse", "keys"])
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_way_from_the_invitation_to_the_end(
    tmp_path: Path, chromium: Browser, kind: str, screen: str, keys: bool
) -> None:
    """Every vote is what was clicked, by the pixels that stood there; nothing scrolls sideways on the way."""
    folder = make(tmp_path / "study", kind, **KINDS[kind])
    with served(folder) as server:
        ada = begun(chromium, server, screen=screen, keys=keys)
        for number, what in enumerate(ANSWERS[kind]):
            ada.progress(f"{number} of 3")
            for question in range(len(KINDS[kind].get("questions", "1"))):
                assert ada.page.evaluate("document.documentElement.scrollWidth") == SCREENS[screen][0]
                ada.answer(kind, ANSWERS[kind][(number + question) % 3] if kind == "pair" else what)
        ada.progress("3 of 3")
        expect(ada.page.locator("#message-title")).to_have_text("Thank you!")
        assert (kept(server.votes()), ada.troubles) == (meant(folder, ada), [])
        assert len(server.votes()) == 3 * len(KINDS[kind].get("questions", "1"))


def test_the_prompt_comes_only_after_the_question_that_hides_it(tmp_path: Path, chromium: Browser) -> None:
    folder = make(tmp_path / "study", items=1, questions=("alignment", "appeal"))
    with served(folder) as server:
        ada = begun(chromium, server)
        ada.replies.clear()
        ada.page.reload()
        ada.settle()
        assert "hidden on purpose" in ada.page.inner_text("#question")
        expect(ada.page.locator("#prompt")).to_have_text("The prompt is hidden for this question.")
        came = [ada.page.content(), *(reply.text() for reply in ada.replies if reply.status == 200 and is_text(reply))]
        assert any('"prompt":null' in text for text in came)
        assert not [text for text in came if "prompt 0" in text]
        ada.answer("pair", 0)
        expect(ada.page.locator("#prompt")).to_have_text("prompt 0")
        ada.button("Undo").click()  # the question before, in the same task: again without the prompt
        assert "hidden on purpose" in ada.page.inner_text("#question")
        assert "prompt 0" not in ada.page.content()
        ada.answer("pair", 0)
        assert ada.answer("pair", 1) == "message"
        assert [vote.question for vote in server.votes()] == ["appeal", "alignment"]


def is_text(reply: Any) -> bool:
    return bool(re.search("html|json|javascript|css", reply.headers.get("content-type", "")))


@pytest.mark.parametrize("keys", [False, True], ids=["mouse", "keys"])
def test_undo_gives_the_task_back_and_skip_leaves_it(tmp_path: Path, chromium: Browser, keys: bool) -> None:
    with served(make(tmp_path / "study")) as server:
        ada = begun(chromium, server, keys=keys)
        expect(ada.button("Undo")).to_be_disabled()
        first = ada.numbers()
        ada.answer("pair", 0)
        second = ada.numbers()
        done(ada, "Undo", "undo")
        assert (ada.numbers(), second != first) == (first, True)
        ada.progress("0 of 3")
        ada.answer("pair", 1)
        assert ada.numbers() == second
        done(ada, "Skip", "skip")
        third = ada.numbers()
        assert third not in (first, second)
        ada.answer("pair", "tie")
        expect(ada.page.locator("#message-title")).to_have_text("Thank you!")
        done(ada, "Undo", "undo")
        assert ada.numbers() == third
        ada.answer("pair", 0)
        said = [vote.answer for vote in server.votes()]
        assert [answer is None for answer in said] == [False, True, False, False, True, False]
        assert {vote.item for vote in server.votes()} == {item_of(server, first), item_of(server, third)}


def done(someone: Person, name: str, path: str) -> None:
    with someone.page.expect_response(f"**/api/{path}"):
        someone.page.keyboard.press(name[0].lower()) if someone.keys else someone.button(name).click()
    someone.settle()


def item_of(server: Server, numbers: list[int]) -> int:
    return next(item.id for item in server.store.design.items if item.prompt == f"prompt {numbers[0] // 2}")


def test_zoom_shows_each_image_and_answers_nothing(tmp_path: Path, chromium: Browser) -> None:
    with served(make(tmp_path / "study")) as server:
        ada = begun(chromium, server)
        page, name = ada.page, ada.page.locator("#zoom-name")
        page.get_by_role("button", name="Zoom image B").click()
        expect(name).to_have_text("image B")
        for key, shows in [("ArrowLeft", "A"), ("ArrowRight", "B"), ("1", "A"), ("9", "A"), ("t", "A"), ("u", "A")]:
            page.keyboard.press(key)
            expect(name).to_have_text(f"image {shows}")
        assert page.locator("#zoom-image img").get_attribute("src") == page.locator("#images img").nth(0).get_attribute(
            "src"
        )
        page.keyboard.press("Escape")
        expect(page.locator("#zoom")).to_be_hidden()
        page.keyboard.press("z")
        expect(name).to_have_text("image A")
        ada.button("Close").click()
        expect(page.locator("#zoom")).to_be_hidden()
        assert server.votes() == []
        ada.answer("pair", 0)


def test_a_reload_shows_the_same_and_two_tabs_give_one_vote(tmp_path: Path, chromium: Browser) -> None:
    with served(make(tmp_path / "study")) as server:
        ada = begun(chromium, server)
        first = ada.numbers()
        ada.page.reload()
        ada.settle()
        assert ada.numbers() == first
        other = Person(ada.page.context.new_page())
        other.page.goto(f"{server.url}/task")
        other.settle()
        assert other.numbers() == first
        ada.answer("pair", 0)
        other.answer("pair", 0)
        assert other.numbers() == ada.numbers() != first
        assert kept(server.votes()) == meant(server.folder, ada)


def test_a_pause_ends_by_itself_and_what_was_begun_is_still_taken(tmp_path: Path, chromium: Browser) -> None:
    with served(make(tmp_path / "study")) as server:
        ada = begun(chromium, server)
        set_state(server.store, "paused")
        assert ada.answer("pair", 0) == "message"
        expect(ada.page.locator("#message-title")).to_have_text("The study is paused")
        set_state(server.store, "open")
        ada.page.wait_for_selector("#task[aria-busy=false]")
        ada.progress("1 of 3")
        set_state(server.store, "closed")
        ada.answer("pair", 0)
        expect(ada.page.locator("#message-title")).to_have_text("The study is closed")
        assert len(server.votes()) == 2


def test_seconds_run_from_the_last_image_on_and_only_while_the_page_is_seen(tmp_path: Path, chromium: Browser) -> None:
    hide = """hidden => { Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                          document.dispatchEvent(new Event("visibilitychange")); }"""
    with served(make(tmp_path / "study", items=1, questions=("preference", "alignment"))) as server:
        ada = person(chromium)
        late = re.compile(r"/image/.*/1$")
        ada.page.route(late, lambda route: (ada.page.wait_for_timeout(2500), route.continue_()))
        ada.join(server.invitation())
        ada.page.wait_for_timeout(600)
        ada.page.evaluate(hide, True)
        ada.page.wait_for_timeout(2500)
        ada.page.evaluate(hide, False)
        ada.answer("pair", 0)
        ada.answer("pair", 0)
        first, second = (vote.seconds for vote in server.votes())
        assert 0.6 <= first < 2.4
        assert second < first  # counted from the second question on


def test_the_images_of_the_next_task_are_there_before_it(tmp_path: Path, chromium: Browser) -> None:
    with served(make(tmp_path / "study", items=2)) as server:
        ada = begun(chromium, server)
        loaded = lambda: sum("/image/" in reply.url for reply in ada.replies)  # noqa: E731
        until(lambda: (ada.page.wait_for_timeout(20), loaded() == 4)[1])
        ada.answer("pair", 0)
        assert loaded() == 4
