"""What goes wrong between a person and the server, in a real Chromium: no answer is lost, and none counts twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from study.web import browsing
from study.web.browsing import CHROMIUM, begun, kept, make, meant, person, served
from tastemaker.study.assign import Given, next_task
from tastemaker.study.raters import invite, join

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)"),
]
FAR = 1e12
"""Seconds since 1970, long after everything here."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing.browser() as found:
        yield found


def test_a_double_click_and_a_key_held_down_are_one_answer(tmp_path: Path, chromium: Browser) -> None:
    with served(make(tmp_path / "study", items=4)) as server:
        ada = begun(chromium, server)
        ada.button("Image A").hover()
        for clicks in (1, 2):  # so slowly that the second finds the next task
            ada.page.mouse.down(click_count=clicks)
            ada.page.mouse.up(click_count=clicks)
            ada.progress("1 of 4")
            ada.settle()
        for _ in range(8):  # as the keyboard repeats it
            ada.page.keyboard.down("ArrowLeft")
            ada.page.wait_for_timeout(50)
        ada.page.keyboard.up("ArrowLeft")
        ada.progress("2 of 4")
        assert len(server.votes()) == 2


def test_keys_and_clicks_while_a_post_is_on_its_way_are_no_answers(tmp_path: Path, chromium: Browser) -> None:
    with served(make(tmp_path / "study")) as server:
        ada = begun(chromium, server)
        posts: set[str] = set()
        ada.page.on("request", lambda request: request.method == "POST" and posts.add(request.post_data))
        ada.page.context.set_offline(True)
        for key in ("ArrowLeft", "ArrowRight", "t", "s", "u"):
            ada.page.keyboard.press(key)
        ada.page.context.set_offline(False)
        ada.progress("1 of 3")
        ada.settle()
        assert (len(server.votes()), len(posts)) == (1, 1)
        assert ada.page.evaluate("document.activeElement.id") == "question"


@pytest.mark.parametrize("reload", [False, True], ids=["waiting", "reloading"])
def test_a_server_that_is_gone_for_a_while_loses_nothing(tmp_path: Path, chromium: Browser, reload: bool) -> None:
    """Also where the page is loaded again while its answer is still unsent."""
    folder = make(tmp_path / "study")
    with served(folder) as server:
        ada = begun(chromium, server)
        server.stop()
        ada.said.append((ada.numbers(), ada.page.inner_text("#question"), 1))
        ada.button("Image B").click()
        expect(ada.page.locator("#offline")).to_have_text(re.compile("your answer is kept and will be sent again"))
        server.start()
        if reload:
            ada.page.on("dialog", lambda dialog: dialog.accept())  # "you have unsent changes"
            ada.page.reload()
        ada.progress("1 of 3")
        expect(ada.page.locator("#offline")).to_be_empty()
        ada.settle()
        ada.answer("pair", 0)
        assert kept(server.votes()) == meant(folder, ada)


def test_an_answer_whose_reply_was_lost_is_kept_once(tmp_path: Path, chromium: Browser) -> None:
    """The server takes the vote, the connection breaks before the reply is there, and the same post comes again."""
    with served(make(tmp_path / "study")) as server:
        ada = begun(chromium, server)
        sent: list[dict[str, Any]] = []

        def lose(route: Any) -> None:
            sent.append(json.loads(route.request.post_data))
            route.fetch()
            route.abort() if len(sent) == 1 else route.continue_()

        ada.page.route("**/api/vote", lose)
        ada.page.keyboard.press("ArrowLeft")
        ada.progress("1 of 3")
        assert sent[0] == sent[1]
        assert len(server.votes()) == 1


def test_a_task_that_others_have_done_meanwhile_is_said_and_the_next_one_comes(
    tmp_path: Path, chromium: Browser
) -> None:
    folder = make(tmp_path / "study", items=1, raters_per_item=1)
    with served(folder) as server:
        ada = begun(chromium, server)
        bob = join(server.store, "Bob", invite(server.store), 0.0)
        assert isinstance(next_task(server.store, bob, FAR), Given)
        ada.button("Tie").click()
        expect(ada.page.locator("#note")).to_have_text(re.compile("left for too long.*go on with the next one"))
        expect(ada.page.locator("#message-title")).to_have_text("Nothing to do right now")
        assert server.votes() == []


def test_who_is_not_known_any_more_is_led_to_the_start_and_the_answer_waits(tmp_path: Path, chromium: Browser) -> None:
    with served(make(tmp_path / "study")) as server:
        link, ada = server.invitation(), person(chromium)
        ada.join(link)
        ada.page.context.clear_cookies()
        ada.page.keyboard.press("ArrowLeft")
        ada.page.get_by_role("link", name="Go to the start").click()
        expect(ada.page.locator("h1")).to_be_visible()
        assert (ada.page.url, server.votes()) == (f"{server.url}/", [])
        ada.page.goto(link)
        ada.button("Go on as Ada").click()
        ada.progress("1 of 3")
        assert len(server.votes()) == 1


def test_nothing_can_be_answered_before_all_images_are_there(tmp_path: Path, chromium: Browser) -> None:
    with served(make(tmp_path / "study")) as server:
        ada = person(chromium)
        broken = re.compile(r"/image/.*/1$")
        ada.page.route(broken, lambda route: route.abort())
        ada.join(server.invitation(), wait=False)
        again = ada.button("Load again")
        expect(again).to_be_visible()
        ada.page.keyboard.press("ArrowLeft")
        expect(ada.page.locator("#choices button").first).to_be_disabled()
        expect(ada.button("Skip")).to_be_enabled()
        ada.page.unroute(broken)
        again.click()
        assert ada.settle() == "task"
        ada.answer("pair", 0)
        assert kept(server.votes()) == meant(server.folder, ada)
