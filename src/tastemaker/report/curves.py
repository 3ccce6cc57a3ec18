"""Curves of training: what a run's metrics.jsonl says, against pairs seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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


class Quantities(NamedTuple):
    """A panel of several columns of one run: its title, column → word of the legend, a reference level, lowest y."""

    title: str
    lines: Mapping[str, str]
    level: float | None = None
    floor: float | None = None


def shown(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    """The columns of `PANELS` that at least one run has logged."""
    return [panel for panel in PANELS if any(panel in columns for columns in runs.values())]


def training(runs: Mapping[str, Mapping[str, Sequence[float]]], name: str = "training") -> Figure:
    """Curves against pairs seen, one panel a quantity, one line a run.

    ``runs`` maps a run's name to the columns of its metrics.jsonl: ``pairs_seen`` and at least one of `PANELS`.
    """
    panels = shown(runs)
    thinned = {run: _thin(columns) for run, columns in runs.items()}

    def draw(canvas: Canvas, wide: bool) -> None:
        for axes, panel in zip(grid(canvas, len(panels), wide, "pairs seen"), panels, strict=True):
            lines = _panel(axes, panel, thinned)
        if len(thinned) > 1:
            labels = [printable(run) for run in thinned]
            canvas.legend(lines, labels, loc="outside upper left", ncols=3 if wide else 1)

    wide, narrow = heights(len(panels))
    caption = (
        "Training against pairs seen: running mean, each logged value thin behind it. The loss "
        "of a preference method often stays near its first value (dotted) while "
        "the images improve; margin and accuracy say whether winners gained on losers."
    )
    alt = f"Line plots of {', '.join(PANELS[panel][0] for panel in panels)} for {', '.join(runs)}."
    data = _long(thinned, panels)
    return figure(name, draw, (wide, narrow + 0.2 * len(runs)), alt=printable(alt), caption=caption, data=data)


def quantities(
    name: str, columns: Mapping[str, Sequence[float]], panels: Sequence[Quantities], *, alt: str, caption: str
) -> Figure:
    """Curves of one run against pairs seen, several lines a panel; each panel has a column that was logged."""
    names = [column for panel in panels for column in panel.lines if column in columns]
    thinned = _thin(columns, names)

    def draw(canvas: Canvas, wide: bool) -> None:
        for axes, panel in zip(grid(canvas, len(panels), wide, "pairs seen"), panels, strict=True):
            _title(axes, panel.title, panel.level)
            for number, (column, label) in enumerate(panel.lines.items()):
                _line(axes, thinned, column, number)[0].set_label(label)
            if len(panel.lines) > 1:
                axes.legend(fontsize=9)
            axes.set_ylim(bottom=panel.floor)

    data = {column: thinned[column] for column in ("pairs_seen", *names)}
    return figure(name, draw, heights(len(panels)), alt=printable(alt), caption=caption, data=data)


def grid(canvas: Canvas, count: int, wide: bool, xlabel: str) -> list[Axes]:
    """``count`` panels over one horizontal axis, two across where it is wide; the lowest of each column is labelled."""
    across = min(2, count) if wide else 1
    panels = canvas.subplots(math.ceil(count / across), across, sharex=True, squeeze=False).flatten().tolist()
    for spare in panels[count:]:
        spare.set_visible(False)
    for lowest in panels[count - across : count]:
        lowest.set_xlabel(xlabel)
        lowest.tick_params(labelbottom=True)
    return panels[:count]


def heights(count: int) -> tuple[float, float]:
    """Inches of a `grid` of ``count`` panels on a wide and on a narrow screen."""
    return 0.5 + 2.1 * math.ceil(count / 2), 0.5 + 1.8 * count


def _panel(axes: Axes, panel: str, runs: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Any]:
    """One quantity of every run; returns the lines for the legend."""
    _title(axes, *PANELS[panel])
    return [line for number, columns in enumerate(runs.values()) for line in _line(axes, columns, panel, number)]


def _title(axes: Axes, title: str, level: float | None) -> None:
    axes.set_title(title)
    axes.locator_params(axis="x", nbins=5)
    if level is not None:
        axes.axhline(level, color=MUTED, linewidth=1, linestyle=":")


def _line(axes: Axes, columns: Mapping[str, Sequence[float]], name: str, number: int) -> list[Any]:
    """A quantity and, returned, its running mean in the colour and dashes of ``number``."""
    pairs, values = _known(columns, name)
    colour = SERIES[number % len(SERIES)]
    axes.plot(pairs, values, color=colour, linewidth=0.8, alpha=0.3)
    found: list[Any] = axes.plot(pairs, _smooth(values), color=colour, linestyle=DASHES[number % len(DASHES)])
    return found


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


def _thin(columns: Mapping[str, Sequence[float]], names: Iterable[str] = tuple(PANELS)) -> dict[str, list[float]]:
    """The rows that have one of ``names``, at most `POINTS`, evenly spaced, and all with a validation.

    The first and last are among them. A line of metrics.jsonl where a round begins has none of them.
    """
    found = [columns[name] for name in names if name in columns]
    rows = [row for row in range(len(columns["pairs_seen"])) if any(not math.isnan(values[row]) for values in found)]
    if (count := len(rows)) > POINTS:
        validation = columns.get("validation_accuracy")
        validated = [row for row in rows if validation and not math.isnan(validation[row])]
        rows = sorted({*validated, *(rows[round(at * (count - 1) / (POINTS - 1))] for at in range(POINTS))})
    return {name: [values[row] for row in rows] for name, values in columns.items()}


def _long(runs: Mapping[str, Mapping[str, Sequence[float]]], panels: Sequence[str]) -> dict[str, list[Any]]:
    """Runs as one table: run, pairs seen, one column a panel."""
    table: dict[str, list[Any]] = {name: [] for name in ("run", "pairs_seen", *panels)}
    for run, columns in runs.items():
        count = len(columns["pairs_seen"])
        table["run"] += [run] * count
        for name in ("pairs_seen", *panels):
            table[name] += columns.get(name, [""] * count)
    return table
