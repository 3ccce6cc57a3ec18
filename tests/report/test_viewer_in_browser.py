"""The viewer in a real, headless Chromium, opened from the disk: rows, filters, addresses, favourites, pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.viewer_browsing import HOSTILE, LEFT, MARKS, Open, prompts, status
from support.viewer_example import plain, write_images
from tastemaker.report.viewer.writing import view

pytestmark = MARKS


def hash_of(page: Any) -> str:
    return str(page.evaluate("decodeURIComponent(location.hash.replaceAll('+', ' '))"))


def test_rows_scores_and_marks(opened: Open) -> None:
    page = opened()
    assert page.title() == "Side by side"
    assert prompts(page) == list(range(1, 11))
    assert page.locator("article").first.locator("h2").inner_text() == HOSTILE
    assert page.locator("script:not([src]), article script, article img[onerror]").count() == 0
    first = page.locator("article").first.locator("figure")
    assert first.count() == 6
    assert first.nth(0).locator("b").inner_text() == "base"
    assert first.nth(1).locator("b").inner_text() == "tuned <b>"
    assert first.nth(1).locator("dl").inner_text().split("\n") == ["hps", "0.000", "trained †", "1.000"]
    assert first.nth(3).locator("dd").all_inner_texts() == ["2.000", "2.000"]
    assert first.nth(3).locator("dd.top").count() == 2
    assert page.locator("article").first.locator(".chip").all_inner_texts() == ["hps −1.000 loss", "s0"]
    assert page.locator("[data-mark='†']").is_visible()
    assert not page.locator("[data-mark='‡']").is_visible()


def test_filters_order_and_address(opened: Open) -> None:
    """What a choice shows stands in the address, and the address shows it again."""
    page = opened()
    assert "tuned <b> against base by hps: 19 wins, 10 ties, 10 losses (win rate 61.5 %)" in status(page)
    page.get_by_label("Result of the right one").select_option("loss")
    page.get_by_label("Order").select_option("loss")
    assert prompts(page) == list(range(10, 0, -1))
    page.get_by_label("Order").select_option("gain")
    assert prompts(page) == list(range(1, 11))
    page.get_by_label("Result of the right one").select_option("all")
    assert prompts(page)[:3] == [39, 38, 37]
    page.get_by_label("category").select_option("animals")
    page.get_by_label("style & art").select_option("s1")
    page.get_by_label("Words in the prompt").fill("NUMBER cat 3")
    assert prompts(page) == [n + 1 for n in (37, 35, 33, 31, 23, 13, 3, 39)], "39 has no difference, so it is last"
    page.get_by_label("Sample").first.select_option(index=2)
    hash = hash_of(page)
    assert hash == "#order=gain&text=NUMBER cat 3&sample=2&by.category=animals&by.style & art=s1"
    again = opened(page.evaluate("location.hash"))
    assert prompts(again) == prompts(page)
    assert again.get_by_label("Words in the prompt").input_value() == "NUMBER cat 3"
    assert again.locator("article").first.locator("figure").count() == 3
    again.get_by_role("button", name="Clear filters").click()
    assert (prompts(again), hash_of(again)) == (list(range(1, 11)), "")
    page.get_by_label("Words in the prompt").fill("no such word")
    assert page.get_by_text("No prompt fits these filters.").is_visible()


def test_other_models_and_scorer(opened: Open) -> None:
    page = opened("#left=2&right=1")
    assert "base against tuned <b> by hps: 10 wins, 10 ties, 19 losses (win rate 38.5 %)" in status(page)
    page.get_by_label("Scorer").select_option(value="1")
    assert "by trained †: 0 wins, 40 ties, 0 losses (win rate 50.0 %)" in status(page)


@pytest.mark.parametrize(
    "hash", ["#left=9&right=x&page=999&scorer=0&result=nonsense&favourites=0.99-7,,", "#%zz=%", "#"]
)
def test_a_broken_address_shows_what_it_can(opened: Open, hash: str) -> None:
    page = opened(hash)
    assert "40 of 40 prompts" in status(page)
    assert page.locator("article").count() == 10


def test_favourites_are_in_the_address(opened: Open) -> None:
    page = opened()
    for number in (1, 2, 3, 7):
        page.get_by_role("button", name=f"Favourite: prompt {number}", exact=True).click()
    assert hash_of(page) == "#favourites=1-3.7"
    shared = opened("#favourites=1-3.7&only=favourites")
    assert prompts(shared) == [1, 2, 3, 7]
    star = shared.get_by_role("button", name="Favourite: prompt 2", exact=True)
    assert star.get_attribute("aria-pressed") == "true"
    star.click()
    assert (prompts(shared), hash_of(shared)) == ([1, 3, 7], "#favourites=1.3.7&only=favourites")
    assert shared.locator("#favourites").inner_text() == "only favourites (3)"


def test_pages(opened: Open) -> None:
    page = opened()
    following = page.get_by_role("button", name="Next").first
    following.click()
    assert (prompts(page), hash_of(page)) == (list(range(11, 21)), "#page=2")
    assert page.evaluate("document.activeElement.id") == "results"
    opened("#page=4").get_by_role("button", name="Next").first.is_disabled()


def test_without_an_evaluation_there_is_nothing_about_scores(opened: Open, tmp_path: Path) -> None:
    images = [write_images(tmp_path / name, ["a", "b"], lambda *_: plain(LEFT)) for name in ("one", "two")]
    view(images, tmp_path / "out")
    page = opened(address=f"file://{tmp_path}/out/index.html", hash="#result=win&order=gain")
    assert (prompts(page), status(page)) == ([1, 2], "2 of 2 prompts.")
    for name in ("Scorer", "Result of the right one", "Order", "Sample"):
        assert not page.get_by_label(name).first.is_visible(), name
    assert page.locator("article dl, article .chip, article h3").count() == 0
    assert page.locator(".pager:visible, .note:visible:has-text('†')").count() == 0
    page.locator(".open").first.click()
    assert page.locator("#stage").is_visible()
    assert not page.locator("#scores").is_visible()
