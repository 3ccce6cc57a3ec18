"""Lines against samples used, of hand-made scores: what the page says of them, the picture's panels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from support.reproduced import JUDGES, by_hand, write_base, write_curve
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.curve import Curve
from tastemaker.reproduce.curve_reading import read
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.results import Results

BEST, DRAWN = Arm("world", Pairs("best", "world", 1.0, 1)), Arm("world", Pairs("all", passes=1))
CURVE = Curve("samples", "qsd", "Against samples", "world", (BEST, DRAWN), ("QSD", "random order"))
STEP = 16
"""Pairs of a step in the small world."""


def columns(mean: float) -> dict[str, list[float]]:
    return {"utility": [mean - 1, mean + 1], "correct": [0.0, 1.0]}


@pytest.fixture
def shop(tmp_path):
    """QSD rises to 3 and falls to 2 in the mean of two seeds; the other order has one seed and rises to the end."""
    made = by_hand(tmp_path, 2)
    write_base(made, columns(0.0))
    write_curve(made, BEST, 0, {20: columns(1.0), 100: columns(4.0), 9: columns(0.0)})
    write_curve(made, BEST, 1, {9: columns(1.0), 20: columns(5.0), 100: columns(0.0)})
    write_curve(made, DRAWN, 3, {9: columns(1.0), 20: columns(1.5)})
    return made


def drawn(monkeypatch):
    """The canvas that is saved."""
    from matplotlib.figure import Figure

    kept, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (kept.append(self), save(self, *a, **k))[1])
    return kept


def rising_and_falling(shop):
    """Five seeds of four prompts: QSD is 1, 3, 2 and a little by seed, the other order 1, 1, 2."""
    for seed in range(5):
        small = 0.01 * seed
        for arm, means in ((BEST, (1, 3, 2)), (DRAWN, (1, 1, 2))):
            points = {step: mean + small * step / 20 for step, mean in zip((9, 20, 100), means, strict=True)}
            write_curve(shop, arm, seed, {step: four(mean) for step, mean in points.items()})


def four(mean: float) -> dict[str, list[float]]:
    return {"utility": [mean - 0.2, mean + 0.2, mean, mean], "correct": [1.0] * 4}


def test_too_few_seeds_have_no_peak(shop, tmp_path):
    text = CURVE.write(Results(shop), tmp_path)
    assert "- QSD (seeds: 2, too few to say where it peaks, or whether it falls)" in text
    assert "- random order (seeds: 1, too few to say" in text
    assert "![Against samples](samples.png)" in text
    assert "peak after pairs" not in text
    assert "Our own claim" not in text


def test_five_seeds_of_two_prompts_have_no_peak(shop, tmp_path):
    for seed in range(5):
        write_curve(shop, BEST, seed, {9: columns(1.0), 20: columns(2.0), 100: columns(1.0)})
    assert "- QSD (seeds: 5, too few prompts to say" in CURVE.write(Results(shop), tmp_path)


def test_peaks_and_falls_by_hand(tmp_path):
    """At the peak 3 + 0.02 on average, at the end 2 + 0.1: it falls by 0.92. The other order is highest at the end."""
    shop = by_hand(tmp_path, 4)
    rising_and_falling(shop)
    text = CURVE.write(Results(shop), tmp_path)
    rows = [line for line in text.splitlines() if line.startswith("| QSD |")]
    assert rows[0].startswith("| QSD | utility | 5 | 320 | 3.0")
    assert "| -0.92" in rows[0]
    assert rows[0].endswith("| falls |")
    (other,) = [line for line in text.splitlines() if line.startswith("| random order | utility")]
    assert "| 1,600 |" in other
    assert other.endswith("| – | highest at the end |")
    tops = json.loads((tmp_path / "samples.json").read_text())["peaks"]
    assert (tops[0]["after"], tops[0]["places"], tops[0]["then"]) == (320, [320] * 5, "falls")
    assert tops[0]["fall"]["value"] == pytest.approx(-0.92)


def test_what_lies_above_by_hand(tmp_path):
    """QSD − random order is 0, 2, 0 in every seed and prompt: 2/3 in the mean of all."""
    shop = by_hand(tmp_path, 4)
    rising_and_falling(shop)
    text = CURVE.write(Results(shop), tmp_path)
    assert "| mean of all | +0.667 (+0.667 to +0.667) * | +0.000 (+0.000 to +0.000) |" in text
    assert "| 320 | +2.000 (+2.000 to +2.000) * | +0.000 (+0.000 to +0.000) |" in text
    assert "| 1,600 | +0.000 (+0.000 to +0.000) | +0.000 (+0.000 to +0.000) |" in text
    assert "p ≤ 0.05 after Holm, of the means over the 2 judges, of the rest over all 6 cells" in text
    assert "- utility: holds" in text
    assert "- correct: not distinguishable" in text


def test_a_seed_with_other_checkpoints_is_left_out_and_named(shop, tmp_path):
    write_curve(shop, BEST, 2, {9: columns(70.0), 30: columns(70.0)})
    text = CURVE.write(Results(shop), tmp_path)
    assert "- QSD (seeds: 2," in text
    assert "- QSD, left out for other checkpoints than most: seed 2" in text
    lines = json.loads((tmp_path / "samples.json").read_text())["lines"]
    assert (lines[0]["seeds"], lines[0]["left out"]) == ([0, 1], [2])


def test_the_numbers_are_written(shop, tmp_path):
    CURVE.write(Results(shop), tmp_path)
    lines = json.loads((tmp_path / "samples.json").read_text())["lines"]
    assert [(line["arm"], line["judge"]) for line in lines] == [
        (arm.name, judge.name) for arm in (BEST, DRAWN) for judge in JUDGES
    ]
    assert lines[0]["means"] == [[0, 1, 4], [1, 5, 0]]


def test_the_picture_has_a_panel_a_judge_with_base_lines_and_bands(shop, tmp_path, monkeypatch):
    kept = drawn(monkeypatch)
    CURVE.write(Results(shop), tmp_path)
    panels = kept[0].axes
    assert [axes.get_title() for axes in panels] == ["utility", "correct"]
    base, line, other = panels[0].lines
    assert list(base.get_ydata()) == [0, 0]
    np.testing.assert_allclose(line.get_xydata(), [[144, 0.5], [320, 3], [1600, 2]])
    np.testing.assert_allclose(other.get_xydata(), [[144, 1], [320, 1.5]])
    heights = panels[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0, 5)
    assert [text.get_text() for text in panels[-1].get_legend().get_texts()] == [
        "QSD, seeds: 2",
        "random order, seeds: 1",
    ]
    with Image.open(tmp_path / "samples.png") as picture:
        assert picture.width > 2 * picture.height


def test_the_ring_of_a_line_with_five_seeds(tmp_path, monkeypatch):
    """Where the peak is; its height is that of the drawn line, 3 + 0.02."""
    shop, kept = by_hand(tmp_path, 4), drawn(monkeypatch)
    rising_and_falling(shop)
    CURVE.write(Results(shop), tmp_path)
    rings = [line for line in kept[0].axes[0].lines if line.get_marker() == "o"]
    assert [ring.get_xdata().item() for ring in rings] == [320, 1600]
    assert rings[0].get_ydata().item() == pytest.approx(3.02)


def test_what_has_not_run_is_told_or_left_out(tmp_path):
    shop = by_hand(tmp_path, 2)
    assert CURVE.write(Results(shop), tmp_path) == ""
    write_curve(shop, BEST, 0, {10: columns(1.0)})
    text = CURVE.write(Results(shop), tmp_path)
    assert "- random order (not run yet)" in text


def test_scales_apply(shop):
    scaled = replace(shop, profile=replace(shop.profile, judges=(Judge("u", "utility", scale=100.0), JUDGES[1])))
    np.testing.assert_allclose(read(Results(scaled), DRAWN).scores["utility"].mean(2), [[100, 150]])


def test_stages_are_the_base_and_a_curve_an_arm_and_seed(shop):
    names = [stage.name for stage in CURVE.stages(shop, (2, 5))]
    assert names[0] == "score world base"
    assert names[1:] == [f"curve {arm.name} seed {seed}" for seed in (2, 5) for arm in (BEST, DRAWN)]
