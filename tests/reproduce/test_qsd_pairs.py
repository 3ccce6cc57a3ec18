"""Figures 1 and 6/7 of a ranking of four pairs and a tie whose scores are known."""

from __future__ import annotations

import csv
import re
from dataclasses import astuple
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from support.datasets import RedScorer, png, sha, write_data
from support.reproduced import by_hand
from tastemaker.base.files import sha256_text
from tastemaker.data.comparison import Comparison
from tastemaker.rank.ranking import Cut, rank
from tastemaker.reproduce.arm import Pairs
from tastemaker.reproduce.qsd_pairs import ends, exhibits, normal, over_prompts, quality, raw_differences, steep
from tastemaker.reproduce.results import Results
from tastemaker.score.runner import score

BEST = Pairs("best", "world", 0.3)
PAIRS = [
    Comparison("a", "cat", sha(90), sha(20), "a"),  # 0.9 · (1 − 0.2) = 0.72
    Comparison("b", "dog <b> | 100 %", sha(60), sha(20), "a"),  # 0.48
    Comparison("d", "cat", sha(40), sha(60), "b"),  # 0.36
    Comparison("c", "cat", sha(20), sha(90), "a"),  # 0.02
    Comparison("e", "cat", sha(20), sha(40), "tie"),
]


@pytest.fixture
def shop(tmp_path):
    made = by_hand(tmp_path)
    data = write_data(tmp_path / "data", PAIRS, [png(red) for red in (20, 40, 60, 90)])
    score(data, RedScorer(uses_prompt=False))
    rank(data, "red", made.pairs(BEST, 0).out.parent, Cut(count=2))
    return made


def folders(shop):
    return shop.pairs(BEST, 0).out.parent, shop.out / "data", shop.out / "figure"


def test_raw_differences_by_hand(shop):
    """Winner − loser: 90 − 20, 60 − 20, 60 − 40, 20 − 90 hundredths; the tie has none."""
    ranked, data, _ = folders(shop)
    prompts, found = raw_differences(ranked, data, "red@1")
    np.testing.assert_allclose(sorted(found), [-0.7, 0.2, 0.4, 0.7], atol=1e-6)
    cats = sorted(value for prompt, value in zip(prompts, found, strict=True) if prompt == sha256_text("cat"))
    np.testing.assert_allclose(cats, [-0.7, 0.2, 0.7], atol=1e-6)


def test_quality_has_both_figures_with_their_numbers(shop):
    text = "\n".join(quality(*folders(shop)))
    assert "](figure-margins.svg)" in text
    assert "In 25.0% of 4 pairs" in text
    assert "best 2 (50.0%, Q ≥ 0.480) are kept" in text
    rows = list(csv.DictReader((shop.out / "figure-quality.csv").open()))
    assert [float(row["quality"]) for row in rows] == pytest.approx([0.72, 0.48, 0.36, 0.02], abs=1e-6)
    assert "mean +0.15" in text


def test_the_drawing_stands_alone(shop):
    """It has every colour that it names, and no name of another file."""
    quality(*folders(shop))
    for name in ("margins", "quality"):
        text = (shop.out / f"figure-{name}.svg").read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert set(re.findall(r"var\((--\w+)\)", text)) <= set(re.findall(r"(--\w+): #", text))
        assert not re.search(r'(?:src|href)="(?!#)', text)


def test_normal():
    """A thousand normal scores, made symmetric: mean 0.2, ± 1.96 · deviation/√1000; no word of what it proves."""
    half = np.random.default_rng(0).normal(size=500)
    scores = np.concatenate([half, -half]) + 0.2
    text = normal([f"{number}" for number in range(1000)], scores)
    low, high = map(float, re.search(r"mean \+0\.2 \((\S+) to (\S+):", text).groups())
    assert high - low == pytest.approx(2 * 1.96 * scores.std() / 1000**0.5, rel=0.06)
    assert f"{0.2 / scores.std(ddof=1):+.2f} deviations from 0; skewness +0.00" in text
    assert "1,000 pairs of 1,000 prompts" in text


def test_pairs_of_a_prompt_are_drawn_together():
    """Nine equal pairs a prompt say no more than one: the interval of 400 prompts, not of 3,600 pairs."""
    values = np.random.default_rng(1).normal(size=400)
    prompts = [f"{number}" for number in range(400)]
    one, nine = over_prompts(prompts, values), over_prompts(np.repeat(prompts, 9).tolist(), np.repeat(values, 9))
    assert astuple(nine) == pytest.approx(astuple(one))
    assert one.high - one.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)


def test_prompts_with_more_pairs_weigh_more():
    """A prompt of three pairs at 1 and one of one at −1: a draw has the mean 1 (¼), ½ (half of them) or −1 (¼)."""
    found = over_prompts(["a", "b", "a", "a"], np.array([1.0, -1.0, 1.0, 1.0]))
    assert astuple(found) == (0.5, -1.0, 1.0)


def test_steep_by_hand():
    """Eleven points: falls 0.3 in the first tenth, 0.05 a tenth between (0.4 in all), 0.3 in the last."""
    middle = np.linspace(0.7, 0.3, 9)
    text = steep(np.array([1.0, *middle, 0.0]))
    assert "so it is here: by 0.300 over the first tenth" in text
    assert "0.050 a tenth in the middle and 0.300 over the last" in text
    assert "it is not so here" in steep(np.linspace(1, 0, 11))


def test_ends_by_hand(shop):
    """Two at each end, the best with the highest Q first, the worst with the lowest; ψ and raw score under each."""
    text = "\n".join(ends(*folders(shop)))
    rows = [line for line in text.splitlines() if line.startswith("| ") and " Q 0" in line]
    assert [re.search(r"Q ([\d.]+)", row)[1] for row in rows] == ["0.720", "0.480", "0.020", "0.360"]
    assert "ψ 0.900, red 0.900 | ψ 0.200, red 0.200" in rows[0]
    assert r"| dog \<b\> \| 100 % |" in rows[1]
    assert "**Best pairs by Q.**" in text
    for name in ("best", "worst"):
        assert f"](figure-{name}.png)" in text
        with Image.open(shop.out / f"figure-{name}.png") as picture:
            assert picture.width > 2 * 96


def test_the_sheets_show_the_images(shop):
    """The pixels of the best pair: red 90 beside red 20, of 255."""
    ends(*folders(shop))
    with Image.open(shop.out / "figure-best.png") as picture:
        colours = {pixel for _, pixel in picture.convert("RGB").getcolors(1 << 20)}
    assert {(90, 0, 0), (60, 0, 0), (20, 0, 0)} <= colours
    assert (40, 0, 0) not in colours


def test_exhibits(shop, tmp_path):
    figure, pairs = exhibits(BEST)
    assert [figure.key, pairs.key] == ["quality", "pairs"]
    assert not figure.arms
    assert {stage.name for stage in figure.stages(shop, (0, 1))} == {"pairs best-world-30%"}
    page = tmp_path / "page"
    assert figure.write(Results(shop), page).startswith("### QSD, figure 1")
    assert "| caption | Q | winner | loser |" in pairs.write(Results(shop), page)
    assert {path.name for path in page.iterdir()} == {
        "quality-margins.svg", "quality-margins.csv", "quality-quality.svg", "quality-quality.csv",
        "pairs-best.png", "pairs-worst.png",
    }  # fmt: skip


def test_nothing_ranked_is_nothing_told(tmp_path):
    shop = by_hand(tmp_path)
    assert [each.write(Results(shop), tmp_path) for each in exhibits(BEST)] == ["", ""]
