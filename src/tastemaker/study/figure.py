"""The picture of a study's results: rates with their intervals and agreement, before and after exclusion."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tastemaker.base.files import atomic_file
from tastemaker.evaluate.winrate import Interval
from tastemaker.study.majority import Rate
from tastemaker.study.results import Findings, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE = {"text.parse_math": False, "font.family": "DejaVu Sans", "font.size": 9, "axes.titlelocation": "left"}
BEFORE, AFTER = "#9a9a9a", "#1a5fb4"
MOST = 60
"""Lines of a panel; what is left out stands in the tables."""
LINE, HEAD, WIDTH, LABEL = 0.36, 1.1, 11.0, 46
"""Inches a line, inches of a panel's title and axis, inches of the picture, letters of a label."""


class Line(NamedTuple):
    """A figure before and after exclusion; ``after`` None where nobody is excluded, or nobody is left."""

    label: str
    before: Interval | Rate
    after: Interval | Rate | None


def write(path: Path, found: Results) -> None:
    """Write the picture of ``found`` as PNG."""
    import matplotlib as mpl

    with warnings.catch_warnings(), mpl.rc_context(STYLE), atomic_file(path) as temporary:
        warnings.filterwarnings("ignore", "Glyph")  # a model's name in letters that the font lacks
        draw(found).savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def draw(found: Results) -> Figure:
    """A row a question: rates at the left, agreement at the right."""
    from matplotlib.figure import Figure

    after = {one.question: one for one in found.after} if found.excluded else {}
    panels = [(one, rates(one, after.get(one.question)), agrees(one, after.get(one.question))) for one in found.before]
    heights = [HEAD + LINE * max(len(left), len(right)) for _, left, right in panels]
    canvas = Figure(figsize=(WIDTH, max(2.0, sum(heights) + 0.4)), layout="constrained")
    grid = canvas.subplots(max(1, len(panels)), 2, squeeze=False, height_ratios=heights or None)
    for (one, left, right), axes in zip(panels, grid, strict=False):
        _panel(
            axes[0], left, f"{one.question}: {one.votes} votes of {one.raters} raters", None if one.flag_rates else 0.5
        )
        axes[0].set_xlabel("share that most raters flag" if one.flag_rates else "win rate of the first model, ties ½")
        _panel(axes[1], right, "agreement", 0.0, low=min(_lows(right)))
    _legend(canvas, bool(after))
    return canvas


def rates(before: Findings, after: Findings | None) -> list[Line]:
    """The win rates and the rates of flagged images, those of all categories together first."""
    known = dict(_rates(after)) if after else {}
    lines = [Line(label, rate, known.get(label)) for label, rate in _rates(before)]
    return lines[:MOST]


def agrees(before: Findings, after: Findings | None) -> list[Line]:
    """Raw agreement, α and κ."""
    rows = {"raw agreement": "raw", "Krippendorff's α": "alpha", "Fleiss' κ": "fleiss", "ordinal α": "ordinal"}
    return [
        Line(label, value, getattr(after.agreement, name) if after else None)
        for label, name in rows.items()
        if (value := getattr(before.agreement, name)) is not None
    ]


def _rates(one: Findings) -> Iterator[tuple[str, Rate]]:
    wins = [(f"{each.a or '–'} against {each.b or '–'}", each.category, each.rate) for each in one.win_rates]
    flags = [(f"{each.model or '–'}: {each.flag}", each.category, each.rate) for each in one.flag_rates]
    for label, category, rate in sorted([*wins, *flags], key=lambda row: row[1] is not None):
        yield label + (f", {category}" if category else ""), rate


def _panel(axes: Axes, lines: Sequence[Line], title: str, reference: float | None, low: float = 0.0) -> None:
    for height, line in enumerate(reversed(lines)):
        both = line.after is not None
        _mark(axes, line.before, height + 0.14 * both, BEFORE if both else AFTER)
        if line.after is not None:
            _mark(axes, line.after, height - 0.14, AFTER)
    names = [line.label if len(line.label) <= LABEL else line.label[: LABEL - 1] + "…" for line in reversed(lines)]
    axes.set_yticks(range(len(names)), names)
    axes.set(title=title, xlim=(low - 0.02, 1.02), ylim=(-0.6, max(1, len(names)) - 0.4))
    if reference is not None:
        axes.axvline(reference, color="0.75", linestyle="--", zorder=0)
    axes.grid(axis="x", alpha=0.3)
    if not lines:
        axes.text(0.5, 0.5, "no two models were compared", ha="center", va="center", transform=axes.transAxes)


def _mark(axes: Axes, rate: Interval | Rate, height: float, colour: str) -> None:
    """A dot, the bootstrap interval as a thick line, and Wilson's as a thin one: it has a width where all agree."""
    axes.plot([rate.low, rate.high], [height, height], color=colour, linewidth=3, solid_capstyle="butt")
    if isinstance(rate, Rate):
        axes.plot([rate.wilson_low, rate.wilson_high], [height, height], color=colour, linewidth=1)
    axes.plot([rate.value], [height], "o", color=colour, markersize=5)


def _lows(lines: Sequence[Line]) -> list[float]:
    ends = [each.low for line in lines for each in (line.before, line.after) if each is not None]
    return [0.0, *(end for end in ends if math.isfinite(end))]


def _legend(canvas: Figure, both: bool) -> None:
    from matplotlib.lines import Line2D

    raters = {"all raters": BEFORE, "without the excluded": AFTER} if both else {"all raters": AFTER}
    marks = {name: Line2D([], [], color=colour, marker="o", linewidth=0) for name, colour in raters.items()}
    marks |= {"bootstrap": Line2D([], [], color="0.3", linewidth=3), "Wilson": Line2D([], [], color="0.3", linewidth=1)}
    canvas.legend(marks.values(), marks.keys(), loc="outside lower right", ncols=len(marks), frameon=False)
