"""The figures of `tastemaker credit`; t runs from 0 (nearly clean) to T − 1 (noise)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tastemaker.report.credit import Entry, Recorded, binned, corrections, effective, net
from tastemaker.report.drawing import ACCENT, DASHES, MUTED, SECOND, SERIES, figure
from tastemaker.report.page import Figure, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

BINS = 25
"""Parts of the schedule in which a run's pairs are counted together."""
SIGNS = ("margin ≤ 0", "margin > 0")
LOG_FROM = 50
"""Curves whose largest value is so many times their smallest are drawn on a logarithmic scale."""


def weights(entries: Sequence[Entry]) -> Figure:
    """ω(t) of every method."""
    curves = {entry.name: entry.weight for entry in entries}
    high = max(float(curve.max()) for curve in curves.values())
    low = min(float(curve[curve > 0].min()) for curve in curves.values())

    def draw(canvas: Canvas, _: bool) -> None:
        axes = canvas.subplots()
        _lines(axes, curves, "weight ω(t)")
        if high > LOG_FROM * low:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda *_: "")

    return _figure("weights", draw, curves, "The weight ω(t) of each step's error, as the recipe says.")


def shares(entries: Sequence[Entry]) -> Figure:
    """p(t) ω(t), each method's divided by its sum."""
    curves = {entry.name: entry.share * entry.steps for entry in entries}

    def draw(canvas: Canvas, _: bool) -> None:
        _lines(canvas.subplots(), curves, "share of the credit × T")

    caption = "The share of the credit that goes to each step at margin 0: visits times weight; 1 is an even share."
    return _figure("shares", draw, curves, caption)


def effective_credit(entries: Sequence[Entry]) -> Figure:
    """p(t) ω(t) |∂L/∂n| of each run against t, by the sign of the margin; a panel a run."""
    found = {entry.name: effective(recorded, BINS) for entry, recorded in _recorded(entries)}
    columns: dict[str, Any] = {"t": _centres(entries[0].steps)}
    columns |= {
        f"{name}, {sign}": row.tolist() for name, rows in found.items() for sign, row in zip(SIGNS, rows, strict=True)
    }

    def draw(canvas: Canvas, wide: bool) -> None:
        across = min(2, len(found)) if wide else 1
        panels = canvas.subplots(-(-len(found) // across), across, squeeze=False)
        for axes in panels.flat[len(found) :]:
            axes.set_visible(False)
        for axes, (name, rows) in zip(panels.flat, found.items(), strict=False):
            for row, sign, colour in zip(rows, SIGNS, (SECOND, ACCENT), strict=True):
                axes.plot(columns["t"], row, color=colour, label=sign)
            axes.set(title=printable(name), xlabel="step t", ylim=(0, None))
        panels.flat[0].legend()

    caption = (
        "Effective credit: how often a step comes, times how far from saturated the link is there, times its weight, "
        f"in {BINS} parts of the schedule, separately for pairs that the model orders wrongly and rightly."
    )
    rows = len(found)
    heights = 0.4 + 2.5 * -(-rows // 2), 0.4 + 2.2 * rows
    return figure("effective-credit", draw, heights, alt=f"Curves. {caption}", caption=caption, data=columns)


def correction(entry: Entry, recorded: Recorded) -> Figure:
    """The recorded log r and C(t) of a run, and what C adds to the margin."""
    assert recorded.log_ratio is not None
    after = corrections(recorded.log_ratio)
    curves = {
        "log r (policy, winner)": recorded.log_ratio[0, 0],
        "C (policy, winner)": after[0, 0],
        "C (policy, loser)": after[0, 1],
        "C (reference, winner)": after[1, 0],
        "C (reference, loser)": after[1, 1],
    }
    added = net(after)

    def draw(canvas: Canvas, wide: bool) -> None:
        panels = canvas.subplots(1 if wide else 3, 3 if wide else 1, squeeze=False)
        first, second, third = panels.flat
        first.plot(curves["log r (policy, winner)"], color=ACCENT, linewidth=0.8)
        first.set(title="recorded log r", xlabel="step t")
        for (name, curve), colour, dash in zip(list(curves.items())[1:], SERIES, DASHES, strict=False):
            second.plot(curve, color=colour, linestyle=dash, label=name.removeprefix("C "), linewidth=1.2)
        second.set(title="correction C(t)", xlabel="step t")
        second.legend(fontsize=7)
        third.plot(added, color=ACCENT)
        third.axhline(0, color=MUTED, linewidth=0.8)
        third.set(title="added to the margin", xlabel="step t")

    caption = f"{entry.name}: the stepwise record, its sum over all noisier steps, and what it adds to a pair's margin."
    data = {"t": list(range(entry.steps)), **{name: curve.tolist() for name, curve in curves.items()}}
    data["added to the margin"] = added.tolist()
    name = f"correction-{_slug(entry.name)}"
    return figure(name, draw, (2.7, 7.2), alt=f"Curves. {caption}", caption=caption, data=data)


def convergence(entries: Sequence[Entry]) -> Figure:
    """How far the correction is from its last value, against visits per step."""
    curves = {entry.name: distances(entry, recorded) for entry, recorded in _recorded(entries) if recorded.history}
    rows = [(name, x, y) for name, points in curves.items() for x, y in points]

    def draw(canvas: Canvas, _: bool) -> None:
        axes = canvas.subplots()
        for (name, points), colour, dash in zip(curves.items(), _colours(), _dashes(), strict=False):
            axes.plot(
                *zip(*points, strict=True),
                marker="o",
                color=colour,
                linestyle=dash,
                markersize=3,
                label=printable(name),
            )
        axes.set(xscale="log", xlabel="visits per step", ylabel="distance from the last correction", ylim=(0, None))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda *_: "")
        axes.legend()

    caption = "‖C − C_last‖ / ‖C_last‖ of the winners' correction under the policy, against visits per step."
    data: dict[str, list[Any]] = {
        "run": [row[0] for row in rows],
        "visits": [row[1] for row in rows],
        "distance": [row[2] for row in rows],
    }
    return figure("convergence", draw, (2.9, 2.7), alt=f"Falling curves. {caption}", caption=caption, data=data)


def distances(entry: Entry, recorded: Recorded) -> list[tuple[float, float]]:
    """(visits per step, ‖C − C_last‖ / ‖C_last‖) of each moment that the history kept."""
    import numpy as np

    after = {step: corrections(value)[0, 0] for step, value in recorded.history.items()}
    last = corrections(recorded.log_ratio)[0, 0]  # type: ignore[arg-type]
    size = float(np.linalg.norm(last)) or 1.0
    visits = entry.pairs_a_step / entry.steps
    return [(step * visits, float(np.linalg.norm(curve - last)) / size) for step, curve in after.items()]


def _recorded(entries: Sequence[Entry]) -> list[tuple[Entry, Recorded]]:
    return [(entry, entry.recorded) for entry in entries if entry.recorded is not None]


def _lines(axes: Axes, curves: dict[str, Any], ylabel: str) -> None:
    for (name, curve), colour, dash in zip(curves.items(), _colours(), _dashes(), strict=False):
        axes.plot(curve, color=colour, linestyle=dash, label=printable(name))
    axes.set(xlabel="step t", ylabel=ylabel)
    axes.legend()


def _figure(name: str, draw: Callable[[Canvas, bool], None], curves: dict[str, Any], caption: str) -> Figure:
    steps = len(next(iter(curves.values())))
    data = {"t": list(range(steps)), **{key: curve.tolist() for key, curve in curves.items()}}
    return figure(name, draw, (2.9, 2.9), alt=f"Curves against t. {caption}", caption=caption, data=data)


def _centres(steps: int) -> list[float]:
    import numpy as np

    ones = np.ones(steps)
    found: list[float] = (binned(np.arange(steps) * ones, BINS) / binned(ones, BINS)).tolist()
    return found


def _colours() -> list[str]:
    return [*SERIES] * len(DASHES)


def _dashes() -> list[Any]:
    return [dash for start in range(len(DASHES)) for dash in DASHES[start:] + DASHES[:start]]


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
