"""Every page at two widths, light and dark: nothing overflows, all can be read, named and hit; pictures are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from study.web import browsing
from study.web.browsing import ANSWERS, CHROMIUM, KINDS, SCREENS, Person, Server, make, served
from tastemaker.study.raters import invite, join

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)"),
]
LOOK = (Path(__file__).parent / "look.js").read_text()
NAMED = ("button", "checkbox", "textbox", "link", "image", "progressbar", "dialog", "group", "DisclosureTriangle")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing.browser() as found:
        yield found


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """One for each kind; the study of pairs has an open link."""
    with ExitStack() as stack:
        found = {}
        for kind in KINDS:
            place, size = tmp_path_factory.mktemp(kind) / "study", 32 if kind == "best" else 256
            folder = make(place, kind, size=size, raters_per_item=50, **KINDS[kind])
            settings = {"admin_secret": "hush", "passphrase": "sesame" if kind == "pair" else "", "logins": 1000}
            found[kind] = stack.enter_context(served(folder, **settings))
        yield found


@pytest.fixture(params=SCREENS)
def screen(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: Browser, screen: str) -> Iterator[Page]:
    width, height = SCREENS[screen]
    phone = screen == "phone"
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=request.param, has_touch=phone, is_mobile=phone
    )
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


def look(page: Page, pictures: Path, name: str) -> None:
    """See that the page is in order as it stands."""
    scheme = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    page.wait_for_timeout(400)  # until what fades has faded
    found: dict[str, Any] = page.evaluate(LOOK)
    width = page.viewport_size and page.viewport_size["width"]
    page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", caret="initial")
    assert found == {"wide": [], "small": [], "pale": [], "inline": [], "alt": []}, name
    assert unnamed(page) == [], name


def unnamed(page: Page) -> list[str]:
    """Controls without a name in the accessibility tree."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    assert any(node["role"]["value"] == "heading" for node in nodes if not node["ignored"])
    shown = [node for node in nodes if not node["ignored"] and node["role"]["value"] in NAMED]
    return [node["role"]["value"] for node in shown if not node.get("name", {}).get("value", "").strip()]


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_are_in_order(servers: dict[str, Server], page: Page, pictures: Path, kind: str) -> None:
    ada = Person(page)
    page.goto(servers[kind].invitation())
    look(page, pictures, f"{kind}-join")
    ada.join(page.url)
    look(page, pictures, f"{kind}-task")
    page.get_by_text("Help", exact=True).click()
    look(page, pictures, f"{kind}-help")
    page.get_by_text("Help", exact=True).click()
    page.get_by_role("button", name="Zoom image B").click()
    look(page, pictures, f"{kind}-zoom")
    page.get_by_role("button", name="True size").click()
    look(page, pictures, f"{kind}-full")
    page.get_by_role("button", name="Close").click()
    if kind in ("rank", "flag"):
        page.locator("#images .pick, .flags input").nth(1).click()
        if page.locator("#zoom").is_visible():
            page.keyboard.press("Escape")
    else:
        ada.answer(kind, ANSWERS[kind][0])
    look(page, pictures, f"{kind}-more")


def test_what_is_wrong_is_in_order(servers: dict[str, Server], page: Page, pictures: Path) -> None:
    """Without a connection, with an image that is not there, and at the end of a session."""
    page.route("**/image/*/1", lambda route: route.abort())
    Person(page).join(servers["flag"].invitation(), wait=False)
    page.get_by_role("button", name="Load again").wait_for()
    look(page, pictures, "wrong-broken")
    page.unroute("**/image/*/1")
    page.get_by_role("button", name="Load again").click()
    page.wait_for_selector("#task[aria-busy=false]")
    page.context.set_offline(True)
    page.get_by_role("button", name="Done").click()
    page.get_by_text("your answer is kept").wait_for()
    look(page, pictures, "wrong-offline")
    page.context.clear_cookies()
    page.context.set_offline(False)
    page.get_by_role("link", name="Go to the start").wait_for()
    look(page, pictures, "wrong-unknown")


def test_both_images_of_a_pair_are_in_view_together(servers: dict[str, Server], page: Page) -> None:
    """With the question under them, at least a third of the screen's smaller side each."""
    Person(page).join(servers["pair"].invitation())
    width, height = SCREENS["phone" if page.viewport_size and page.viewport_size["width"] == 375 else "desk"]
    boxes = [page.locator(f"#images .pick >> nth={n}").bounding_box() for n in range(2)]
    ask = page.locator(".ask").bounding_box()
    assert ask
    assert ask["y"] + ask["height"] <= height + 1
    for box in boxes:
        assert box
        assert min(box["width"], box["height"]) >= min(width, height) / 3
        assert box["y"] + box["height"] <= ask["y"] + 1


def test_the_other_pages_are_in_order(servers: dict[str, Server], page: Page, pictures: Path) -> None:
    server = servers["pair"]
    page.goto(server.url)
    look(page, pictures, "start")
    page.goto(f"{server.url}/join")
    look(page, pictures, "open-join")
    for passphrase in ("wrong", "sesame"):
        page.fill("#name", "Ada")
        page.fill("#passphrase", passphrase)
        page.check("#agree")
        page.click("button[type=submit]")
        look(page, pictures, f"open-{passphrase}")
    page.get_by_text("Help", exact=True).click()
    page.get_by_role("link", name="Go on with another device").click()
    look(page, pictures, "me")
    page.goto(f"{server.url}/join/unknown")
    look(page, pictures, "unknown")
    page.goto(f"{server.url}/admin?secret=hush")
    look(page, pictures, "admin")


def test_the_end_is_in_order(servers: dict[str, Server], page: Page, pictures: Path) -> None:
    ada = Person(page)
    ada.join(servers["best"].invitation())
    while ada.answer("best", 0) == "task":
        pass
    look(page, pictures, "done")
    page.goto(f"{servers['best'].url}/admin?secret=hush")
    look(page, pictures, "admin-best")


def test_without_scripts_the_page_says_what_it_needs(servers: dict[str, Server], chromium: Browser) -> None:
    store = servers["flag"].store
    token = invite(store)
    join(store, "Ada", token, 0.0)
    bare = chromium.browser_type.launch(
        executable_path=CHROMIUM, args=["--no-sandbox", "--blink-settings=scriptEnabled=false"]
    )
    context = bare.new_context()
    context.add_cookies([{"name": "rater", "value": token, "url": servers["flag"].url}])
    page = context.new_page()
    page.goto(f"{servers['flag'].url}/task")
    nodes = context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    bare.close()
    assert any("needs JavaScript" in str(node.get("name", {}).get("value")) for node in nodes)
