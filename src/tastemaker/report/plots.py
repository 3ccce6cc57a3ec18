"""The report's figures, from arrays; each knows its caption, its description and the numbers it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tastemaker.report.drawing import ACCENT, INK, MUTED, POINTS, SECOND, figure
from tastemaker.report.page import Figure, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from numpy.typing import ArrayLike

Kind = Literal["pairs", "images"]
"""Two images, or one that was judged alone."""
FORMULAS: dict[Kind, str] = {
    "pairs": "ψ(winner) · (1 − ψ(loser))",
    "images": "ψ of a liked image, 1 − ψ of a disliked one,",
}


def margins(psi_winner: ArrayLike, psi_loser: ArrayLike, name: str = "margins") -> Figure:
    """Histogram of ψ_w − ψ_l over n pairs with its mean; below 0 the scorer disagrees with the label."""
    import numpy as np

    margin = np.asarray(psi_winner, np.float64) - np.asarray(psi_loser, np.float64)
    reach = max(float(np.abs(margin).max()), 1e-6)
    counts, edges = np.histogram(margin, bins=40, range=(-reach, reach))
    below, mean = float(np.mean(margin < 0)), float(margin.mean())

    def draw(canvas: Canvas, wide: bool) -> None:
        axes = canvas.subplots()
        axes.bar(edges[:-1], counts, np.diff(edges) * 0.9, align="edge", color=[SECOND] * 20 + [ACCENT] * 20)
        axes.axvline(0, color=INK, linewidth=1)
        axes.axvline(mean, color=INK, linewidth=1.2, linestyle="--")
        _beside(axes, mean, f"mean {mean:+.3f}".replace("-", "−"), counts.max() * 1.02, mean >= 0)
        axes.grid(axis="x", visible=False)
        axes.set_title("How much higher the scorer rates the winner")
        axes.set(xlabel="ψ of the winner − ψ of the loser", ylabel="pairs", ylim=(0, counts.max() * 1.25))
        who = "scorer " if wide else ""
        style: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "weight": "bold"}
        axes.text(0.01, 0.98, f"{below:.1%} {who}disagrees", color=SECOND, ha="left", **style)
        axes.text(0.99, 0.98, f"{1 - below:.1%} {who}agrees", color=ACCENT, ha="right", **style)

    caption = (
        f"In {below:.1%} of {margin.size:,} pairs the scorer rates the losing image above the winning one "
        f"(ψ of the winner − ψ of the loser is below 0); the mean difference is {mean:+.3f}."
    )
    data = {"from": edges[:-1].tolist(), "to": edges[1:].tolist(), "pairs": counts.tolist()}
    return figure(name, draw, (2.9, 2.7), alt=f"Histogram. {caption}", caption=caption, data=data)


def _beside(axes: Axes, x: float, text: str, y: float, right: bool) -> None:
    """A word to the right or left of a line at ``x``, in points so that it keeps clear of it on any screen."""
    style: dict[str, Any] = {"textcoords": "offset points", "va": "bottom", "ha": "left" if right else "right"}
    axes.annotate(text, (x, y), (5 if right else -5, 0), color=INK, **style)


def verdicts(psi_liked: ArrayLike, psi_disliked: ArrayLike, name: str = "verdicts") -> Figure:
    """Histograms of ψ over the images that people liked and those that they did not, each judged alone."""
    import numpy as np

    sides = {"liked": np.asarray(psi_liked, np.float64), "disliked": np.asarray(psi_disliked, np.float64)}
    edges = np.linspace(0, 1, 21)
    counts = {side: np.histogram(psi, edges)[0] for side, psi in sides.items()}

    def draw(canvas: Canvas, wide: bool) -> None:
        axes = canvas.subplots()
        for (side, heights), colour in zip(counts.items(), (ACCENT, SECOND), strict=True):
            axes.stairs(heights, edges, fill=True, color=colour, alpha=0.55, label=side)
        axes.grid(axis="x", visible=False)
        axes.set_title("How the scorer rates what people liked and disliked")
        axes.set(xlabel="ψ of the image", ylabel="images", xlim=(0, 1))
        axes.legend(frameon=False, ncols=2 if wide else 1)

    said = ", ".join(f"{psi.mean():.3f} of {psi.size:,} {side} ones" for side, psi in sides.items() if psi.size)
    caption = f"ψ of the images that were judged alone; its mean is {said}."
    data = {"from": edges[:-1].tolist(), "to": edges[1:].tolist()}
    data |= {side: heights.tolist() for side, heights in counts.items()}
    return figure(name, draw, (2.9, 2.7), alt=f"Two histograms. {caption}", caption=caption, data=data)


def sorted_quality(quality: ArrayLike, kept: int | None, name: str = "quality", of: Kind = "pairs") -> Figure:
    """Q [n] of all pairs or single images, best to worst; ``kept`` of them lie before the cut (None: no cut by Q)."""
    import numpy as np

    q = np.sort(np.asarray(quality, np.float64))[::-1]
    rank = np.unique(np.linspace(0, len(q) - 1, POINTS).round().astype(int))
    share = (rank + 0.5) / len(q)

    def draw(canvas: Canvas, wide: bool) -> None:
        axes = canvas.subplots()
        axes.plot(share, q[rank], color=ACCENT)
        axes.set_title("Quality in order")
        axes.set(xlabel=f"{of}, best first", ylabel="quality Q", xlim=(0, 1), ylim=(0, 1.03))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        if kept:
            inside = share <= kept / len(q)
            axes.fill_between(share[inside], q[rank][inside], color=ACCENT, alpha=0.18, linewidth=0)
            _cut(axes, kept, f"{len(q):,} {of}", kept / len(q), wide)

    caption = f"Quality Q = {FORMULAS[of]} of {len(q):,} {of}, best first."
    if kept:
        caption += f" The best {kept:,} ({kept / len(q):.1%}, Q ≥ {q[kept - 1]:.3f}) are kept."
    data = {"rank": (rank + 1).tolist(), "share": share.tolist(), "quality": q[rank].tolist()}
    return figure(name, draw, (2.9, 2.7), alt=f"Falling curve. {caption}", caption=caption, data=data)


def _cut(axes: Axes, kept: int, of: str, at: float, wide: bool) -> None:
    side, gap = ("left", 0.012) if at < 0.55 else ("right", -0.012)
    axes.axvline(at, color=SECOND, linewidth=1.4)
    says = f"{kept:,} of {of} kept" if wide else f"{kept:,} kept"
    axes.text(at + gap, 1.01, says, color=SECOND, ha=side, va="top", weight="bold")


@dataclass(frozen=True)
class Estimate:
    """A row of a forest plot: an estimate with its interval."""

    group: str
    label: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def forest(rows: Sequence[Estimate], *, reference: float, xlabel: str, caption: str, name: str = "winrates") -> Figure:
    """Estimates with their intervals by group; right of ``reference`` is better than the base."""
    shown: list[str | Estimate] = []
    for group in dict.fromkeys(row.group for row in rows):
        shown += [group, *(row for row in rows if row.group == group)]
    shown.reverse()

    def draw(canvas: Canvas, wide: bool) -> None:
        axes = canvas.subplots()
        for height, line in enumerate(shown):
            if isinstance(line, str):
                place: dict[str, Any] = {"x": -0.02, "ha": "right"} if wide else {"x": 0, "ha": "left"}
                axes.text(
                    y=height - 0.12,
                    s=printable(line),
                    transform=axes.get_yaxis_transform(),
                    weight="bold",
                    va="center",
                    **place,
                )
            else:
                _estimate(axes, height, line, reference, wide)
        axes.set(yticks=[], ylim=(-0.6, len(shown) - 0.4), xlabel=xlabel)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.06)
        axes.locator_params(axis="x", nbins=7 if wide else 5)

    alt = f"{caption} " + "; ".join(f"{row.group}, {row.label}: {row}" for row in rows)
    columns = ("group", "label", "value", "low", "high")
    data = {column: [getattr(row, column) for row in rows] for column in columns}
    heights = 0.6 + 0.32 * len(shown), 0.6 + 0.46 * len(shown)
    return figure(name, draw, heights, alt=alt, caption=caption, data=data)


def _estimate(axes: Axes, height: float, row: Estimate, reference: float, wide: bool) -> None:
    """A line of the forest: label, interval, numbers; on a narrow screen the texts stand above the interval."""
    colour = ACCENT if row.low > reference else SECOND if row.high < reference else MUTED
    y, reach = (height, 0.5) if wide else (height - 0.1, 0.14)
    axes.plot([reference, reference], [y - reach, y + reach], color=MUTED, linewidth=1, linestyle=(0, (3, 2)))
    axes.plot([row.low, row.high], [y, y], color=colour, linewidth=2.4, solid_capstyle="round")
    axes.plot([row.value], [y], "o", color=colour, markersize=6)
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    texts = ((-0.02, "right"), (1.02, "left")) if wide else ((0, "left"), (1, "right"))
    for text, (x, side), ink in zip((row.label, str(row)), texts, (INK, MUTED), strict=True):
        axes.text(x, height + (0 if wide else 0.25), printable(text), color=ink, ha=side, **beside)


def roc(labels: ArrayLike, scores: ArrayLike, *, finds: str, name: str = "roc") -> Figure:
    """ROC curve of ``scores`` [n] as a detector of ``labels`` [n]; ``finds`` says what of what, for the caption."""
    import numpy as np

    from tastemaker.evaluate.detection import auroc, roc_curve

    area = auroc(labels, scores)
    false_rate, true_rate = roc_curve(labels, scores)
    rows = np.unique(np.linspace(0, len(false_rate) - 1, POINTS).round().astype(int))
    false_rate, true_rate = false_rate[rows], true_rate[rows]

    def draw(canvas: Canvas, wide: bool) -> None:
        axes = canvas.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
        axes.plot(false_rate, true_rate, color=ACCENT)
        axes.fill_between(false_rate, true_rate, color=ACCENT, alpha=0.12, linewidth=0)
        axes.text(0.97, 0.05, f"AUROC {area:.3f}", ha="right", color=ACCENT, weight="bold", size=12)
        axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="false alarms", ylabel="found")
        axes.set_aspect("equal" if not wide else "auto")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:.0%}")

    caption = f"{finds}: area under the ROC curve {area:.3f} (0.5 is chance, 1 is perfect)."
    data = {"false_rate": false_rate.tolist(), "true_rate": true_rate.tolist()}
    return figure(name, draw, (3.2, 3.7), alt=f"ROC curve. {caption}", caption=caption, data=data)
