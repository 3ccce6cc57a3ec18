"""Lines against samples used, of hand-made scores: means, pairs seen, peaks, the picture's panels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from support.reproduced import JUDGES, by_hand, write_base, write_curve
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.curve import Curve, points
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


def test_points_by_hand(shop):
    """Steps in the order of their numbers, not of their digits; a step is 16 pairs; rows are seeds."""
    pairs, means = points(Results(shop), BEST, "utility")
    assert pairs == [9 * STEP, 20 * STEP, 100 * STEP]
    np.testing.assert_allclose(means, [[0, 1, 4], [1, 5, 0]])
    assert points(Results(shop), Arm("world"), "utility")[0] == []


def test_the_last_step_may_be_a_part_of_one(shop):
    write_curve(shop, DRAWN, 3, {100: columns(1.0), 185: columns(1.0)})
    budget = shop.profile.budget(DRAWN)
    assert 184 * STEP < budget < 185 * STEP
    assert points(Results(shop), DRAWN, "utility")[0] == [100 * STEP, budget]


def test_peaks_by_hand(shop, tmp_path):
    """QSD's means over the seeds are ½, 3, 2."""
    text = CURVE.write(Results(shop), tmp_path)
    assert "- QSD: peak 3.000 after 320 pairs, 2.000 after all 1600" in text
    assert "- random order: peak 1.500 after 320 pairs, 1.500 after all 320" in text
    assert "![Against samples](samples.png)" in text


def test_the_numbers_are_written(shop, tmp_path):
    CURVE.write(Results(shop), tmp_path)
    lines = json.loads((tmp_path / "samples.json").read_text())["lines"]
    assert [(line["arm"], line["judge"]) for line in lines] == [
        (arm.name, judge.name) for arm in (BEST, DRAWN) for judge in JUDGES
    ]
    assert lines[0]["means"] == [[0, 1, 4], [1, 5, 0]]


def test_the_picture_has_a_panel_a_judge_with_base_lines_bands_and_peaks(shop, tmp_path, monkeypatch):
    kept = drawn(monkeypatch)
    CURVE.write(Results(shop), tmp_path)
    panels = kept[0].axes
    assert [axes.get_title() for axes in panels] == ["utility", "correct"]
    base, line, peak, *_ = panels[0].lines
    assert list(base.get_ydata()) == [0, 0]
    np.testing.assert_allclose(line.get_xydata(), [[144, 0.5], [320, 3], [1600, 2]])
    assert (peak.get_xdata().item(), peak.get_ydata().item()) == (320, 3)
    heights = panels[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0, 5)
    assert [text.get_text() for text in panels[-1].get_legend().get_texts()] == [
        "QSD (2 seeds)",
        "random order (1 seeds)",
    ]
    with Image.open(tmp_path / "samples.png") as picture:
        assert picture.width > 2 * picture.height


def test_what_has_not_run_is_told_or_left_out(tmp_path):
    shop = by_hand(tmp_path, 2)
    assert CURVE.write(Results(shop), tmp_path) == ""
    write_curve(shop, BEST, 0, {10: columns(1.0)})
    text = CURVE.write(Results(shop), tmp_path)
    assert "- random order: not run yet" in text


def test_scales_apply(shop):
    scaled = replace(shop, profile=replace(shop.profile, judges=(Judge("u", "utility", scale=100.0), JUDGES[1])))
    np.testing.assert_allclose(points(Results(scaled), DRAWN, "utility")[1], [[100, 150]])


def test_stages_are_the_base_and_a_curve_an_arm_and_seed(shop):
    names = [stage.name for stage in CURVE.stages(shop, (2, 5))]
    assert names[0] == "score world base"
    assert names[1:] == [f"curve {arm.name} seed {seed}" for seed in (2, 5) for arm in (BEST, DRAWN)]
