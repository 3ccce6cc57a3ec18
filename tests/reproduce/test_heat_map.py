"""The picture: what stands in a cell, what marks a screening, where colours end, and that nothing overlaps."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle

from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.arm import LOSSES
from tastemaker.reproduce.grid import GRID_CREDITS
from tastemaker.reproduce.heat_map import NONE, NOT_RUN, PALE, Found, Panel, draw, limit

SURE = Found(Interval(0.5, 0.25, 0.75), 5)
TWO = Found(Interval(-0.1, -1.1, 0.9), 2)
ONE = Found(Interval(0.2, -math.inf, math.inf), 1)


def cells(values, seeds=5):
    return [[Found(Interval(value, value - 0.1, value + 0.1), seeds) for value in values]]


@pytest.fixture
def small():
    panels = [Panel("all", [[SURE, TWO], [ONE, NONE]]), Panel("QSD", [[NOT_RUN, NOT_RUN], [NOT_RUN, SURE]])]
    return draw(panels, ["dpo", "ipo"], ["uniform", "dde"], "utility")


def test_a_cell_tells_mean_half_of_its_interval_and_seeds(small):
    one, two, *_ = small.axes
    assert [text.get_text() for text in one.texts] == [
        "+0.500\n±0.250\n5 seeds", "-0.100\n±1.000\n2 seeds", "+0.200\n1 seed", "×",
    ]  # fmt: skip
    assert [text.get_text() for text in two.texts] == ["–", "–", "–", "+0.500\n±0.250\n5 seeds"]
    assert [one.get_title(), two.get_title()] == ["all", "QSD"]
    assert [text.get_text() for text in one.get_xticklabels()] == ["uniform", "dde"]
    assert [text.get_text() for text in one.get_yticklabels()] == ["dpo", "ipo"]


def test_below_five_seeds_a_cell_is_pale_and_hatched(small):
    one, two, *_ = small.axes
    hatched = [patch.get_xy() for patch in one.patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    assert hatched == [(0.5, -0.5), (-0.5, 0.5)]
    assert one.images[0].get_alpha().tolist() == [[1, PALE], [PALE, 1]]
    assert not two.patches
    assert "hatched: fewer than 5 seeds, a screening" in small.get_supxlabel()


def test_colours_are_about_zero_and_end_at_the_95th_percentile():
    """0.01 … 1.00 in a hundred cells, one of which is 100: the 95th percentile of |mean| is that of 95 and 96."""
    values = [0.01 * k * (-1) ** k for k in range(1, 100)] + [-100.0]
    panels = [Panel("all", cells(values[:50])), Panel("QSD", cells(values[50:]))]
    end = float(np.percentile(np.abs(values), 95))
    assert limit(panels) == pytest.approx(end)
    assert 0.94 < end < 0.97
    drawn = draw(panels, ["dpo"], [str(k) for k in range(50)], "utility")
    for axes in drawn.axes[:2]:
        assert axes.images[0].get_clim() == pytest.approx((-end, end))
    assert drawn.axes[2].get_ylabel() == f"utility − base; colours end at ±{end:.3g}, the 95th percentile of |mean|"


def test_no_colours_of_nothing():
    assert limit([Panel("all", [[NOT_RUN, NONE]])]) == 1
    assert limit([Panel("all", cells([0.0, 0.0]))]) == 1


def test_nothing_overlaps_in_the_whole_table():
    """6 losses × 9 credits × 3 sets: letters stay in their cells, and titles, ticks and caption apart."""
    random = np.random.default_rng(0)
    panels = [
        Panel(name, [cells(random.normal(0, 20, len(GRID_CREDITS)))[0] for _ in LOSSES])
        for name in ("all", "QSD", "random")
    ]
    drawn = draw(panels, list(LOSSES), GRID_CREDITS, "utility")
    renderer = FigureCanvasAgg(drawn).get_renderer()
    drawn.draw(renderer)
    for axes in drawn.axes[:3]:
        wide, high = axes.bbox.width / len(GRID_CREDITS), axes.bbox.height / len(LOSSES)
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        assert max(box.width for box in boxes) < wide
        assert max(box.height for box in boxes) < high
    whole = sorted((axes.get_tightbbox(renderer) for axes in drawn.axes[:3]), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(whole))
    assert whole[0].y0 > 0
    assert whole[0].x0 >= 0
