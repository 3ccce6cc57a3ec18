"""Figures: metrics against samples used with bands over seeds, and the heat map of losses × credits × pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import atomic_file, read_json
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import Curve, Grid
from tastemaker.reproduce.results import MOST_SEEDS, Results

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

COLOURS = ("#2357c4", "#b4501e")


def draw(exhibit: Curve | Grid, results: Results, path: Path) -> None:
    """Draw ``exhibit`` of what is finished."""
    canvas = _curve(exhibit, results) if isinstance(exhibit, Curve) else _heat(exhibit, results)
    with atomic_file(path) as temporary:
        canvas.savefig(temporary, format="png")


def points(results: Results, arm: Arm, judge: str) -> tuple[list[int], Floats]:
    """Pairs seen at each checkpoint, and the mean score over prompts there [seeds, checkpoints]."""
    import numpy as np

    shop = results.shop
    found = [read_json(stage.out) for seed in range(MOST_SEEDS) if (stage := shop.curve(arm, seed)).done]
    steps = sorted(map(int, found[0])) if found else []
    a_step = shop.pairs_a_step(arm.model)
    means = [[float(np.mean(one[str(step)][judge])) for step in steps] for one in found]
    return [step * a_step for step in steps], np.array(means, np.float64)


def _curve(exhibit: Curve, results: Results) -> Figure:
    """A panel a judge; the line is the mean over seeds, the band their range, the ring the peak."""
    from matplotlib.figure import Figure as Canvas

    judges = results.shop.profile.judges
    canvas = Canvas(figsize=(3.6 * len(judges), 3), layout="constrained", dpi=110)
    for axes, judge in zip(canvas.subplots(1, len(judges), squeeze=False)[0], judges, strict=True):
        base = results.shop.base(exhibit.model)
        if base.done:
            scores = read_json(base.out)[judge.name]
            axes.axhline(sum(scores) / len(scores), color="#8a8a8a", linewidth=0.8)
        for arm, label, colour in zip(exhibit.arms, exhibit.labels, COLOURS, strict=False):
            _line(axes, *points(results, arm, judge.name), label, colour)
        axes.set(title=judge.name, xlabel="pairs used")
        axes.grid(alpha=0.3)
    axes.legend()
    return canvas


def _line(axes: Axes, pairs: Sequence[int], means: Floats, label: str, colour: str) -> None:
    if not len(means):
        return
    middle = means.mean(0)
    axes.fill_between(pairs, means.min(0), means.max(0), color=colour, alpha=0.2, linewidth=0)
    axes.plot(pairs, middle, color=colour, marker=".", label=f"{label} ({len(means)} seeds)")
    peak = int(middle.argmax())
    axes.plot(pairs[peak], middle[peak], "o", markersize=10, markerfacecolor="none", color=colour)


def _heat(exhibit: Grid, results: Results) -> Figure:
    """A panel a set of pairs; the colour is the mean difference to the base, the number of seeds stands beside it."""
    import numpy as np
    from matplotlib.figure import Figure as Canvas

    cells = {name: exhibit.table(name, results) for name in exhibit.sets}
    largest = max(float(np.nanmax(np.abs(values))) for values, _ in cells.values())
    canvas = Canvas(figsize=(5.2 * len(cells), 3.6), layout="constrained", dpi=110)
    panels = canvas.subplots(1, len(cells), squeeze=False)[0]
    for axes, (name, (values, seeds)) in zip(panels, cells.items(), strict=True):
        shown = axes.imshow(values, cmap="RdBu", vmin=-largest, vmax=largest, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                axes.text(column, row, f"{value:+.3f}\n{seeds[row, column]}", ha="center", va="center", fontsize=6)
        axes.set(title=name, xticks=range(len(exhibit.credits)), yticks=range(len(exhibit.losses)))
        axes.set_xticklabels(exhibit.credits, rotation=40, ha="right", fontsize=7)
        axes.set_yticklabels(exhibit.losses, fontsize=7)
    judge = results.shop.profile.judges[0].name
    canvas.colorbar(shown, ax=canvas.axes, label=f"{judge} − base (and the number of seeds)")
    return canvas
