"""The heat map: a panel a set of pairs, a cell a loss and a credit; in it the mean, ± half its interval, and the seeds.

Colours end at the 95th percentile of |mean|, so that a cell that broke does not take the colour from all others. Cells
below `SURE` seeds are pale and hatched: a screening.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.results import SURE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

ENDS = 95
"""Percentile of |mean| at which the colours end."""
PALE, DARK = 0.35, 0.65
"""Opacity of a screening; share of the colour's end from which on letters are white."""
NOT_RUN, NONE = "–", "×"
WIDE, HIGH, AROUND = 0.92, 0.56, 0.95
"""Inches: of a cell, and what a panel has above and below."""
CAPTION = (
    "mean, ± half of its 95 % interval over seeds and prompts, seeds;\n"
    f"hatched: fewer than {SURE} seeds, a screening; {NOT_RUN}: has not run; {NONE}: no such method"
)


@dataclass(frozen=True)
class Found:
    """What has come out in a cell: mean difference to the base with its interval, and the number of seeds."""

    difference: Interval
    seeds: int

    @property
    def words(self) -> list[str]:
        """Mean, ± half of its interval where it has one, and seeds."""
        half = [f"±{(self.difference.high - self.difference.low) / 2:.3f}"] if self.seeds > 1 else []
        return [f"{self.difference.value:+.3f}", *half, "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"]


Cell = Found | str
"""Or why a cell is empty: `NOT_RUN`, `NONE`."""


@dataclass(frozen=True)
class Panel:
    """``cells`` are [losses][credits]."""

    title: str
    cells: Sequence[Sequence[Cell]]


def draw(panels: Sequence[Panel], losses: Sequence[str], credits: Sequence[str], judge: str) -> Figure:
    """The panels below each other, with one bar of colours."""
    from matplotlib.figure import Figure

    size = (max(7.0, WIDE * len(credits) + 2.4), len(panels) * (HIGH * len(losses) + AROUND) + 0.5)
    canvas, end = Figure(figsize=size, layout="constrained", dpi=110), limit(panels)
    for axes, panel in zip(canvas.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        shown = _panel(axes, panel, end)
        axes.set_title(panel.title, fontsize=10)
        axes.set_xticks(range(len(credits)), credits, rotation=20, ha="right", fontsize=8)
        axes.set_yticks(range(len(losses)), losses, fontsize=8)
    canvas.colorbar(shown, ax=canvas.axes, extend="both", aspect=40).set_label(
        f"{judge} − base; colours end at ±{end:.3g}, the {ENDS}th percentile of |mean|", fontsize=9
    )
    canvas.supxlabel(CAPTION, fontsize=8)
    return canvas


def limit(panels: Sequence[Panel]) -> float:
    """Where the colours end; 1 where all is 0 or nothing has run."""
    import numpy as np

    found = [abs(cell.difference.value) for panel in panels for _, cell in _found(panel).items()]
    return float(np.percentile(found, ENDS)) or 1.0 if found else 1.0


def _found(panel: Panel) -> Mapping[tuple[int, int], Found]:
    return {
        (row, column): cell
        for row, cells in enumerate(panel.cells)
        for column, cell in enumerate(cells)
        if isinstance(cell, Found)
    }


def _panel(axes: Axes, panel: Panel, end: float) -> AxesImage:
    """Colours, then hatches and letters."""
    import numpy as np

    shape = len(panel.cells), len(panel.cells[0])
    values, opacity = np.full(shape, np.nan), np.ones(shape)
    for place, cell in _found(panel).items():
        values[place] = cell.difference.value
        opacity[place] = 1.0 if cell.seeds >= SURE else PALE
    shown = axes.imshow(values, cmap="RdBu", vmin=-end, vmax=end, alpha=opacity, aspect="auto")
    for (row, column), _ in np.ndenumerate(values):
        _cell(axes, row, column, panel.cells[row][column], end)
    return shown


def _cell(axes: Axes, row: int, column: int, cell: Cell, end: float) -> None:
    from matplotlib.patches import Rectangle

    sure = isinstance(cell, Found) and cell.seeds >= SURE
    if isinstance(cell, Found) and not sure:
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, hatch="///", edgecolor="#dadada", fill=False, linewidth=0))
    text = "\n".join(cell.words) if isinstance(cell, Found) else cell
    strong = isinstance(cell, Found) and sure and abs(cell.difference.value) > DARK * end
    colour = "white" if strong else "black" if sure else "#303030"
    axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=colour, linespacing=1.1)
