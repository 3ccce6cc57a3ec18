"""The viewer in a real, headless Chromium, opened from the disk: what is shown, hands and keys, widths, speed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.viewer_example import plain, write_evaluation, write_images
from tastemaker.report.viewer.writing import view

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)"),
]
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
PROMPTS = [
    HOSTILE,
    "averyverylongwordwithoutanyspace" * 9,
    "שלום a red fox",
    *(f"a cat number {n}" for n in range(3, 40)),
]
MODELS = ("base", "tuned <b>", "third")
GROUPS = {"category": ["animals" if n % 4 else "" for n in range(40)], "style & art": [f"s{n % 2}" for n in range(40)]}
LEFT, RIGHT = (200, 0, 0), (0, 0, 200)
Open = Callable[..., Any]


def score(scorer: str, model: str, prompt: int, sample: int) -> float | None:
    """By `hps`: prompts 0–9 the tuned model loses, 10–19 ties (within ε 0.5), 20–38 it wins; 39 is unscored."""
    if model != "tuned <b>" or scorer != "hps@2.1":
        return 1.0 + sample
    change = -1 - prompt if prompt < 10 else 0.25 if prompt < 20 else float(prompt)
    return None if prompt == 39 else 1.0 + sample + change


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a viewer of 40 prompts × 3 models × 2 samples with hostile texts."""
    folder = tmp_path_factory.mktemp("viewer")
    colours = (LEFT, RIGHT, (0, 150, 0))
    images = [
        write_images(
            folder / name, PROMPTS, lambda n, k, colour=colour: plain((*colour[:2], colour[2] + n + k), 64), 2, GROUPS
        )
        for name, colour in zip(("base", "tuned", "third"), colours, strict=True)
    ]
    epsilon = {"hps@2.1": 0.5, "trained@1": 0.0}
    made = write_evaluation(folder / "eval", MODELS, len(PROMPTS), 2, epsilon, score)
    view(images, folder / "a folder", evaluation=made)
    return f"file://{folder}/a%20folder/index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, page_of: str) -> Iterator[Open]:
    """Opens the viewer at an address hash; fails the test when the page logs anything or asks for another place."""
    contexts, said = [], []

    def start(hash: str = "", width: int = 1280, height: int = 900, address: str = page_of, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if "file://" not in request.url[:7] else None)
        page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
        page.goto(address + hash)
        return page

    yield start
    for context in contexts:
        context.close()
    assert [line for line in said if not line.startswith("data:,")] == []


def prompts(page: Any) -> list[int]:
    """Numbers of the prompts on the page, from 1."""
    return [int(text) for text in page.locator("article .number").all_text_contents()]


def status(page: Any) -> str:
    return str(page.locator("#status").inner_text())


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


CHECK = r"""() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)].filter((e) => e.checkVisibility());
  const apart = ".models, h2, .skip, dialog:not([open])";  // these scroll by themselves, or are not there
  const wide = all("body *").filter((e) => !e.closest(apart) && e.getBoundingClientRect().right > innerWidth + 1);
  const label = (e) => e.labels?.[0]?.innerText || e.getAttribute("aria-label");
  const name = (e) => label(e) || e.innerText || e.querySelector("img")?.alt;
  // contrast as WCAG 2 defines it, over the nearest background
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const channels = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map((v) => linear(v / 255));
  const light = (colour) => channels(colour).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const background = (e) => getComputedStyle(e).backgroundColor;
  const behind = (e) => (/, 0\)$/.test(background(e)) && e.parentElement ? behind(e.parentElement) : background(e));
  const contrast = (e) => {
    const [more, less] = [getComputedStyle(e).color, behind(e)].map(light).sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  };
  const texts = all("p, .chip, dt, dd, label, button:not(:disabled), h1, h2, h3, b");
  return {
    scroll: document.documentElement.scrollWidth - innerWidth,
    wide: wide.map((e) => e.tagName + "." + e.className),
    faint: texts.filter((e) => !e.closest("#stage") && contrast(e) < 4.5).map((e) => [e.outerHTML, contrast(e)]),
    unnamed: all("button, select, input").filter((e) => !name(e)).length,
    noalt: all("img").filter((e) => !e.alt).length,
    small: all("button, select, input[type=search]").filter((e) => e.getBoundingClientRect().height < 32).length,
    lazy: all("article img").every((e) => e.loading === "lazy"),
  };
}"""


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_broken(opened: Open, width: int, scheme: str) -> None:
    page = opened(width=width, color_scheme=scheme)
    if width == 375:
        page.locator("summary").click()
    fine = {"scroll": 0, "wide": [], "faint": [], "unnamed": 0, "noalt": 0, "small": 0, "lazy": True}
    assert page.evaluate(CHECK) == fine
    page.locator(".open").first.click()
    page.wait_for_function("[...document.querySelectorAll('#stage img')].every((i) => i.complete && i.naturalWidth)")
    assert page.evaluate(CHECK) == fine


MEASURE = """([id, kind, value]) => {
  const element = document.getElementById(id);
  element.value = value;
  const start = performance.now();
  element.dispatchEvent(new Event(kind, { bubbles: true }));
  document.body.getBoundingClientRect();
  return performance.now() - start;
}"""


@pytest.mark.slow
def test_a_thousand_prompts_are_quick(opened: Open, tmp_path: Path) -> None:
    """1,000 prompts × 4 models × 2 samples × 6 scorers: open in 2 s, filtered in 100 ms; the best of three tries."""
    from tastemaker.base import draw

    texts = [f"{('a red', 'a blue', 'an old')[n % 3]} thing number {n}" for n in range(1000)]
    names = ("base", "one", "two", "three")
    images = [
        write_images(
            tmp_path / name, texts, lambda n, k, m=m: plain((m * 60, n % 256, n // 256 * 9 + k), 64), 2,
            {"category": [f"c{n % 12}" for n in range(1000)]},
        )
        for m, name in enumerate(names)
    ]  # fmt: skip
    values = draw.numbers("viewer").normal(size=(6, 4, 1000, 2))
    epsilon = {f"{number}@1": 0.1 for number in range(6)}
    made = write_evaluation(
        tmp_path / "eval", names, 1000, 2, epsilon,
        lambda scorer, model, n, k: float(values[int(scorer[0]), names.index(model), n, k]),
    )  # fmt: skip
    view(images, tmp_path / "out", evaluation=made)
    address = f"file://{tmp_path}/out/index.html"
    loads = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    assert min(opened(address=address).evaluate(loads) for _ in range(3)) < 2000
    page = opened(address=address)
    for given in (
        ("text", "input", "red"), ("group-0", "change", "c3"), ("scorer", "change", "4"), ("result", "change", "win"),
        ("order", "change", "gain"), ("right", "change", "3"), ("text", "input", ""), ("group-0", "change", ""),
    ):  # fmt: skip
        took = min(page.evaluate(MEASURE, given) for _ in range(3))
        assert took < 100, (given, took)
    page.evaluate("document.querySelector('[data-page=next]').click()")
    assert len(prompts(page)) == 8, "about sixty images are a page"
    assert page.evaluate("document.images.length") < 100, "only one page of rows is there"
