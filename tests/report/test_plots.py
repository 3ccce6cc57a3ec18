"""Figures: the numbers they show, and SVG that can stand in one page."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from tastemaker.report import curves, plots, scatter, spread
from tastemaker.report.agreement import Raw
from tastemaker.report.page import Figure

RUNS = {"one": {"pairs_seen": [16, 32, 48], "loss": [0.7, 0.69, 0.68], "margin": [0.0, 0.1, 0.2]}}


def every_figure() -> list[Figure]:
    generator = np.random.default_rng(0)
    labels = generator.random(50) < 0.5
    few, many = (generator.random((2, count)) for count in (50, scatter.DOTS + 1))
    return [
        plots.margins(generator.random(50), generator.random(50)),
        plots.verdicts(generator.random(50), generator.random(30)),
        plots.sorted_quality(generator.random(50), 15),
        plots.forest([plots.Estimate("s", "m", 0.6, 0.5, 0.7)], reference=0.5, xlabel="win rate", caption="Rates."),
        curves.training(RUNS),
        plots.roc(labels, generator.random(50), finds="Q finds wrong labels"),
        spread.prompts(generator.integers(0, 9, 50), np.arange(5)),
        scatter.scatter(Raw(("one@1", "two@1"), few, 50, ()), "few"),
        scatter.scatter(Raw(("one@1", "two@1"), many, 50, ()), "many"),
    ]


def test_margins_by_hand() -> None:
    """Margins 0.5, −0.5, 0, 0.25: one of four below 0, and 0 itself counts as not below."""
    figure = plots.margins([0.9, 0.2, 0.5, 0.5], [0.4, 0.7, 0.5, 0.25])
    assert "25.0% of 4 pairs" in figure.caption
    assert "the mean difference is +0.06" in figure.caption
    assert "mean +0.06" in figure.wide
    below = [n for start, n in zip(figure.data["from"], figure.data["pairs"], strict=True) if start < -1e-9]
    assert (sum(below), sum(figure.data["pairs"])) == (1, 4)


def test_verdicts_by_hand() -> None:
    """Twenty bins of 0.05: 0.92 lies in bin 18, 0.12 in bin 2."""
    figure = plots.verdicts([0.92, 0.92, 0.5], [0.12])
    assert [place for place, n in enumerate(figure.data["liked"]) if n] == [10, 18]
    assert [place for place, n in enumerate(figure.data["disliked"]) if n] == [2]
    assert "0.780 of 3 liked ones, 0.120 of 1 disliked ones" in figure.caption
    assert "disliked" not in plots.verdicts([0.5], []).caption


def test_sorted_quality_by_hand() -> None:
    figure = plots.sorted_quality([0.1, 0.9, 0.5, 0.7], 2)
    assert figure.data["quality"] == [0.9, 0.7, 0.5, 0.1]
    assert "best 2 (50.0%, Q ≥ 0.700)" in figure.caption
    assert "kept" not in plots.sorted_quality([0.1, 0.9], None).caption
    assert (
        "ψ of a liked image, 1 − ψ of a disliked one, of 2 images"
        in plots.sorted_quality([1, 0], None, of="images").caption
    )


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    figure = plots.sorted_quality(np.linspace(0, 1, 100_000), 30_000)
    assert len(figure.data["quality"]) <= 600
    assert (figure.data["quality"][0], figure.data["quality"][-1]) == (1.0, 0.0)
    steps = list(range(5000))
    figure = curves.training({"run": {"pairs_seen": steps, "loss": steps}})
    assert len(figure.data["loss"]) == 600
    assert (figure.data["pairs_seen"][0], figure.data["pairs_seen"][-1]) == (0, 4999)


def test_curves_of_runs_with_different_columns() -> None:
    figure = curves.training(RUNS | {"sft": {"pairs_seen": [16], "loss": [0.5]}})
    assert figure.data["run"] == ["one"] * 3 + ["sft"]
    assert figure.data["margin"] == [0.0, 0.1, 0.2, ""]
    assert list(figure.data) == ["run", "pairs_seen", "loss", "margin"]


def test_running_mean_by_hand() -> None:
    """Forty values: reach 2 on both sides, less at the ends."""
    smooth = curves._smooth([float(value) for value in range(40)])
    assert smooth[0] == 1.0
    assert smooth[20] == 20.0
    assert smooth[39] == 38.0


def test_roc_states_its_area() -> None:
    figure = plots.roc([1, 1, 0, 0], [3, 1, 2, 0], finds="Q")
    assert "0.750" in figure.caption
    assert figure.data["true_rate"] == [0, 0.5, 0.5, 1, 1]


@pytest.mark.parametrize("figure", every_figure(), ids=lambda figure: figure.name)
def test_svg_takes_the_colours_of_the_page(figure: Figure) -> None:
    for svg in (figure.wide, figure.narrow):
        ElementTree.fromstring(svg)
        assert "var(--ink)" in svg or "var(--muted)" in svg
        assert not re.search(r"#0\d0\d0\d\b", svg)
        assert not re.search(r"<metadata|\d{4}-\d\d-\d\d|font: ", svg)
        colours = set(re.findall(r"#[0-9a-f]{6}\b", svg))
        assert not colours, f"colours that do not follow light and dark: {colours}"


def test_ids_are_unique_and_found_across_figures() -> None:
    svgs = [svg for figure in every_figure() for svg in (figure.wide, figure.narrow)]
    ids = [name for svg in svgs for name in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    assert {name for svg in svgs for name in re.findall(r'(?:url\(|href=")#([^")]+)', svg)} <= set(ids)


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert every_figure() == every_figure()


def test_names_from_data_are_only_text() -> None:
    hostile = "<script>alert(1)</script> $\\frac{1}{0}$ \0 🦊 #010101"
    figures = [
        plots.forest([plots.Estimate(hostile, hostile, 0.6, 0.5, 0.7)], reference=0.5, xlabel="x", caption="c"),
        curves.training({hostile: RUNS["one"], "two": RUNS["one"]}),
    ]
    for svg in (svg for figure in figures for svg in (figure.wide, figure.narrow)):
        assert "<script" not in svg
        text = "".join(ElementTree.fromstring(svg).itertext())
        assert "$\\frac{1}{0}$" in text
        assert "#010101" in text


def test_degenerate_numbers_are_drawn() -> None:
    plots.margins([0.5], [0.5])
    plots.sorted_quality([0.5], 1)
    plots.forest([plots.Estimate("s", "m", 0.5, 0.5, 0.5)], reference=0.5, xlabel="x", caption="c")
    curves.training({"run": {"pairs_seen": [1], "loss": [math.nan]}})
