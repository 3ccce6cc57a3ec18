"""Scores against scores: a panel for every two scorers, dots for few (image, prompt), hexagons for many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tastemaker.report.agreement import Raw, rho, spearman
from tastemaker.report.drawing import ACCENT, SECOND, figure
from tastemaker.report.page import Figure, printable

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

PICTURED = 4
"""Scorers in the pictures: 6 pairs of them."""
DOTS = 400
"""More points than this are counted in hexagons."""
CELLS = 18
"""Hexagons across a panel."""
DARKER = "The fuller a hexagon is, the more of them lie in it (on a logarithmic scale)."


def scatter(raw: Raw, name: str = "agreement") -> Figure:
    """A panel for every two of the first `PICTURED` scorers: a dot for each (image, prompt), or hexagons of many."""
    panels = list(_panels(raw))
    count = len(panels)

    def draw(canvas: Canvas, wide: bool) -> None:
        across = min(3, count) if wide else 1
        grid = canvas.subplots(-(-count // across), across, squeeze=False)
        for axes in grid.flat[count:]:
            axes.set_visible(False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            panel.draw(axes)

    many = any(panel.counted for panel in panels)
    caption = f"Raw scores of the same image and prompt by two scorers; {raw.drawn}. {DARKER if many else ''}".strip()
    if missing := raw.names[PICTURED:]:
        caption += f" Only in the table: {', '.join(missing)}."
    said = "; ".join(f"{panel.x} and {panel.y}: {panel.rho}" for panel in panels)
    data: dict[str, list[Any]] = {"x_scorer": [], "y_scorer": [], "x": [], "y": [], "count": []}
    for panel in panels:
        points = zip(*panel.points.tolist(), panel.count.tolist(), strict=True)
        for row in points:
            for column, value in zip(data.values(), (panel.x, panel.y, *row), strict=True):
                column.append(value)
    heights = 0.3 + 2.8 * -(-count // 3), 0.3 + 2.9 * count
    return figure(name, draw, heights, alt=f"Scatter. {caption} {said}", caption=caption, data=data)


@dataclass(frozen=True, eq=False)
class Panel:
    """Two scorers: m points [2, m], or the centres of m hexagons and how many points lie in each."""

    x: str
    y: str
    rho: str
    points: np.ndarray
    count: np.ndarray
    """int64 [m]"""
    extent: tuple[float, float, float, float] | None
    """Of the lattice, where points are counted."""

    @property
    def counted(self) -> bool:
        """Whether these are hexagons."""
        return self.extent is not None

    def draw(self, axes: Axes) -> None:
        """Dots or hexagons in the page's colours, which have no scale: more points are less transparent."""
        if self.extent is None:
            axes.plot(*self.points, "o", color=ACCENT, markersize=3, alpha=0.5, markeredgewidth=0)
        else:
            _hexagons(axes, self.points, self.count, self.extent)
        axes.set(xlabel=f"{printable(self.x)} (raw)", ylabel=f"{printable(self.y)} (raw)")
        axes.set_title(f"ρ {self.rho}", color=SECOND, weight="bold")
        axes.locator_params(nbins=5)


def _panels(raw: Raw) -> Iterator[Panel]:
    import numpy as np

    for i, j in combinations(range(min(PICTURED, len(raw.scorers))), 2):
        pair = raw.both(i, j)
        named = (raw.names[i], raw.names[j], rho(spearman(pair)))
        if pair.shape[1] <= DOTS:
            yield Panel(*named, pair, np.ones(pair.shape[1], np.int64), None)
        else:
            yield Panel(*named, *binned(*pair))


def binned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float, float]]:
    """Centres [2, m] of the hexagons that hold points, how many each holds [m], and the extent of the lattice."""
    import numpy as np
    from matplotlib.figure import Figure as Canvas

    extent = (*_reach(x), *_reach(y))
    cells = Canvas().subplots().hexbin(x, y, gridsize=CELLS, extent=extent, mincnt=1)
    return np.asarray(cells.get_offsets(), np.float64).T, np.asarray(cells.get_array(), np.int64), extent


def _hexagons(axes: Axes, centres: np.ndarray, count: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    """The same lattice again, each centre in its own cell."""
    import numpy as np
    from matplotlib.colors import to_rgb

    x, y = centres
    cells = axes.hexbin(x, y, count, gridsize=CELLS, extent=extent, reduce_C_function=np.sum, linewidths=0)
    full = np.log1p(np.asarray(cells.get_array())) / np.log1p(count.max())
    cells.set_array(None)
    cells.set_facecolor([(*to_rgb(ACCENT), round(0.12 + 0.88 * float(share), 2)) for share in full])
    cells.set_edgecolor("none")


def _reach(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)
