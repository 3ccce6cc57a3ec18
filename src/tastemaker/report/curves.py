"""Training curves: what a run's metrics.jsonl says, against pairs seen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tastemaker.report.drawing import DASHES, MUTED, POINTS, SERIES, figure
from tastemaker.report.page import Figure, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

PANELS: dict[str, tuple[str, float | None]] = {
    "loss": ("loss", math.log(2)),
    "margin": ("margin", 0.0),
    "accuracy": ("share of pairs with margin above 0", 0.5),
    "validation_accuracy": ("the same of held-out pairs", 0.5),
    "gradient_norm": ("gradient norm", None),
}
"""Column of metrics.jsonl → title and reference level of its panel."""


def training(runs: Mapping[str, Mapping[str, Sequence[float]]], name: str = "training") -> Figure:
    """Curves against pairs seen, one panel a quantity, one line a run.

    ``runs`` maps a run's name to the columns of its metrics.jsonl: ``pairs_seen`` and any of `PANELS`.
    """
    panels = [panel for panel in PANELS if any(panel in columns for columns in runs.values())]
    thinned = {run: _thin(columns) for run, columns in runs.items()}

    def draw(canvas: Canvas, wide: bool) -> None:
        across = 2 if wide else 1
        grid = canvas.subplots(math.ceil(len(panels) / across), across, sharex=True, squeeze=False)
        for axes, panel in itertools.zip_longest(grid.flat, panels):
            axes.set_visible(panel is not None)
            if panel:
                lines = _panel(axes, panel, thinned)
        for axes in grid[-1]:
            axes.set_xlabel("pairs seen")
        if len(thinned) > 1:
            labels = [printable(run) for run in thinned]
            canvas.legend(lines, labels, loc="outside upper left", ncols=3 if wide else 1)

    rows = math.ceil(len(panels) / 2)
    heights = 0.5 + 2.1 * rows, 0.5 + 1.8 * len(panels) + 0.2 * len(runs)
    caption = (
        "Training against pairs seen: running mean, each logged value thin behind it. The loss "
        "of a preference method often stays near its first value (dotted) while "
        "the images improve; margin and accuracy say whether winners gained on losers."
    )
    alt = f"Line plots of {', '.join(PANELS[panel][0] for panel in panels)} for {', '.join(runs)}."
    return figure(name, draw, heights, alt=printable(alt), caption=caption, data=_long(thinned, panels))


def _panel(axes: Axes, panel: str, runs: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Any]:
    """One quantity of every run; returns the lines for the legend."""
    title, level = PANELS[panel]
    axes.set_title(title)
    axes.locator_params(axis="x", nbins=5)
    if level is not None:
        axes.axhline(level, color=MUTED, linewidth=1, linestyle=":")
    lines = []
    for number, columns in enumerate(runs.values()):
        pairs, values = _known(columns, panel)
        colour = SERIES[number % len(SERIES)]
        axes.plot(pairs, values, color=colour, linewidth=0.8, alpha=0.3)
        lines += axes.plot(pairs, _smooth(values), color=colour, linestyle=DASHES[number % len(DASHES)])
    return lines


def _known(columns: Mapping[str, Sequence[float]], panel: str) -> tuple[list[float], list[float]]:
    """Pairs seen and the quantity in the rows that have it: a validation stands in few, a skipped step in none."""
    values = columns.get(panel, ())
    rows = [row for row, value in enumerate(values) if not math.isnan(value)]
    return [columns["pairs_seen"][row] for row in rows], [values[row] for row in rows]


def _smooth(values: Sequence[float]) -> list[float]:
    """Centred running mean over a tenth of the curve, over what there is at its ends."""
    reach = len(values) // 20
    windows = (values[max(0, at - reach) : at + reach + 1] for at in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _thin(columns: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """At most `POINTS` evenly spaced rows, the first and last among them, and all with a validation."""
    count = len(columns["pairs_seen"])
    if count <= POINTS:
        return {name: list(values) for name, values in columns.items()}
    rows = {round(row * (count - 1) / (POINTS - 1)) for row in range(POINTS)}
    rows |= {row for row, value in enumerate(columns.get("validation_accuracy", ())) if not math.isnan(value)}
    return {name: [values[row] for row in sorted(rows)] for name, values in columns.items()}


def _long(runs: Mapping[str, Mapping[str, Sequence[float]]], panels: Sequence[str]) -> dict[str, list[Any]]:
    """Runs as one table: run, pairs seen, one column a panel."""
    table: dict[str, list[Any]] = {name: [] for name in ("run", "pairs_seen", *panels)}
    for run, columns in runs.items():
        count = len(columns["pairs_seen"])
        table["run"] += [run] * count
        for name in ("pairs_seen", *panels):
            table[name] += columns.get(name, [""] * count)
    return table
