"""The viewer at two widths, light and dark: nothing overflows, all can be read and hit; and it is quick."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.viewer_browsing import MARKS, Open, prompts
from support.viewer_example import plain, write_evaluation, write_images
from tastemaker.report.viewer.writing import view

pytestmark = MARKS
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
