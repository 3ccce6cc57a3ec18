"""Figures of each metric against samples used: arms that read their pairs once, at every checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import read_json, write_json
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import Paper
from tastemaker.reproduce.output import save
from tastemaker.reproduce.results import MOST_SEEDS, Results
from tastemaker.reproduce.runs import CURVE, Shop
from tastemaker.reproduce.stage import Stage

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

COLOURS = ("#2357c4", "#b4501e")


@dataclass(frozen=True)
class Curve:
    """A line an arm, with the range over seeds as a band and the peak marked (`exhibit.Exhibit`)."""

    key: str
    paper: Paper
    title: str
    model: str
    arms: tuple[Arm, ...]
    labels: tuple[str, ...]

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base, and every checkpoint of every arm."""
        yield shop.base(self.model)
        for seed in seeds:
            yield from (shop.curve(arm, seed) for arm in self.arms)

    def write(self, results: Results, folder: Path) -> str:
        """`<key>.png`, its numbers in `<key>.json`, and where each line has its peak."""
        judges = [judge.name for judge in results.shop.profile.judges]
        found = {(arm.name, judge): points(results, arm, judge) for arm in self.arms for judge in judges}
        if not any(len(means) for _, means in found.values()):
            return ""
        plain = [
            {"arm": arm, "judge": judge, "pairs": pairs, "means": means.tolist()}
            for (arm, judge), (pairs, means) in found.items()
        ]
        write_json(folder / f"{self.key}.json", {"title": self.title, "lines": plain})
        self._draw(results, folder / f"{self.key}.png")
        peaks = [
            self._peak(label, *found[arm.name, judges[0]]) for arm, label in zip(self.arms, self.labels, strict=True)
        ]
        return f"### {self.title}\n\n![{self.title}]({self.key}.png)\n\n" + "\n".join(peaks) + "\n"

    def _peak(self, label: str, pairs: Sequence[int], means: Floats) -> str:
        if not len(means):
            return f"- {label}: not run yet"
        middle = means.mean(0)
        best = int(middle.argmax())
        return f"- {label}: peak {middle[best]:.3f} after {pairs[best]} pairs, {middle[-1]:.3f} after all {pairs[-1]}"

    def _draw(self, results: Results, path: Path) -> None:
        from matplotlib.figure import Figure

        judges = results.shop.profile.judges
        canvas = Figure(figsize=(3.6 * len(judges), 3), layout="constrained", dpi=110)
        for axes, judge in zip(canvas.subplots(1, len(judges), squeeze=False)[0], judges, strict=True):
            if results.has_base(self.model):
                base = results.scores(None, judge.name, [0], self.model).mean()
                axes.axhline(base, color="#8a8a8a", linewidth=0.8)
            for arm, label, colour in zip(self.arms, self.labels, COLOURS, strict=False):
                _line(axes, *points(results, arm, judge.name), label, colour)
            axes.set(title=judge.name, xlabel="pairs used")
            axes.grid(alpha=0.3)
        axes.legend()
        save(canvas, path)


def points(results: Results, arm: Arm, judge: str) -> tuple[list[int], Floats]:
    """Pairs seen at each checkpoint, and the mean score over prompts there [seeds, checkpoints]."""
    import numpy as np

    shop = results.shop
    places = (shop.place(arm, seed) / CURVE for seed in range(MOST_SEEDS))
    found = [read_json(place) for place in places if place.exists()]
    steps, scale = sorted(map(int, found[0])) if found else [], shop.profile.judge(judge).scale
    means = [[scale * float(np.mean(one[str(step)][judge])) for step in steps] for one in found]
    most = shop.profile.budget(arm)  # the last step may be a part of one
    return [min(step * shop.pairs_a_step(arm.model), most) for step in steps], np.array(means, np.float64)


def _line(axes: Axes, pairs: Sequence[int], means: Floats, label: str, colour: str) -> None:
    if not len(means):
        return
    middle = means.mean(0)
    axes.fill_between(pairs, means.min(0), means.max(0), color=colour, alpha=0.2, linewidth=0)
    axes.plot(pairs, middle, color=colour, marker=".", label=f"{label} ({len(means)} seeds)")
    peak = int(middle.argmax())
    axes.plot(pairs[peak], middle[peak], "o", markersize=10, markerfacecolor="none", color=colour)
