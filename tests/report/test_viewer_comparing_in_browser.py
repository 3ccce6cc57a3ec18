"""Two images on top of each other in a real, headless Chromium: pointer, keys, touch."""

from __future__ import annotations

from typing import Any

import pytest

from support.viewer_browsing import HOSTILE, LEFT, MARKS, PROMPTS, RIGHT, Open

pytestmark = MARKS


def colour(page: Any, share: float) -> tuple[int, ...]:
    """Of the middle of the stage, at this share of its width, as painted."""
    import io

    from PIL import Image

    picture = Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")
    return picture.getpixel((int(share * (picture.width - 1)), picture.height // 3))  # type: ignore[return-value]


def test_the_divider_follows_pointer_and_keys(opened: Open) -> None:
    page = opened()
    page.locator(".open").nth(1).click()
    dialog = page.get_by_role("dialog", name=HOSTILE)
    assert dialog.is_visible()
    assert (colour(page, 0.3), colour(page, 0.7)) == (LEFT, RIGHT)
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 60)
    page.mouse.up()
    assert float(page.locator("#divider").input_value()) == pytest.approx(20, abs=0.5)
    assert colour(page, 0.3) == RIGHT
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 60)
    assert colour(page, 0.3) == RIGHT, "it moves only while it is held"
    for _ in range(35):
        page.keyboard.press("ArrowRight")
    assert float(page.locator("#divider").input_value()) == pytest.approx(90, abs=0.5)
    assert (colour(page, 0.7), colour(page, 0.95)) == (LEFT, RIGHT)
    assert "90 % base, rest tuned <b>" in page.locator("#divider").get_attribute("aria-valuetext")


def test_flicker_steps_and_choices(opened: Open) -> None:
    page = opened("#result=win")
    page.locator(".open").nth(2).click()
    assert page.locator("#choose-right").input_value() == "2", "the image that was chosen is on the right"
    page.locator("#choose-right").select_option(value="1")
    page.locator("#divider").focus()
    page.keyboard.press("f")
    assert (colour(page, 0.1)[2], page.locator("#line").is_visible()) == (200 + 20, False)
    page.keyboard.press("F")
    assert colour(page, 0.9)[0] == 200
    page.keyboard.press("ArrowLeft")
    assert page.locator("#line").is_visible()
    assert page.locator("#compare-place").inner_text() == "1 of 19"
    page.keyboard.press("PageDown")
    assert page.locator("#compare-title").inner_text() == PROMPTS[21]
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    assert page.locator("#compare-title").inner_text() == PROMPTS[20]
    assert page.locator("#scores-rows tr").first.inner_text().split() == ["hps", "1.000", "21.00", "+20.00"]
    assert page.locator("#scores-rows th").nth(1).inner_text() == "trained †"
    page.keyboard.press("Escape")
    assert not page.locator("#compare").is_visible()
    assert page.evaluate("document.activeElement.className") == "open"


def test_touch(opened: Open) -> None:
    page = opened(width=375, height=760, has_touch=True, is_mobile=True)
    page.locator(".open").nth(1).tap()
    box = page.locator("#stage").bounding_box()
    page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + 50)
    assert float(page.locator("#divider").input_value()) == pytest.approx(75, abs=1)


def test_by_keyboard_alone(opened: Open) -> None:
    """From the top of the page to an open comparison and back, by Tab, Enter and Escape; the focus is always seen."""
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.className || document.activeElement.dataset.page"))
        if seen[-1] == "open":
            break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert seen[-1] == "open"
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").is_visible()
    assert page.evaluate("document.activeElement.id") == "divider"
    page.keyboard.press("Escape")
    assert not page.locator("#compare").is_visible()
