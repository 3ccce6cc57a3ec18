"""DDE's figures (arXiv 2411.14871): credit against t, and beat ratios.

The drawings are those of `tastemaker credit`; here they become files beside the page, with every arm and seed.
Figures of this paper are described in words in our source: it prints no numbers for any of these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import write_json
from tastemaker.evaluate.winrate import Interval, outcomes
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import Paper, scored
from tastemaker.reproduce.output import finite, picture, save
from tastemaker.reproduce.results import MOST_SEEDS, Results, share
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of

if TYPE_CHECKING:
    import numpy as np

    from tastemaker.report.credit import Entry

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Coefficients:
    """What each arm gives to each step: weight, share at margin 0, and what its run recorded (`exhibit.Exhibit`)."""

    key: str
    paper: Paper
    title: str
    model: str
    arms: tuple[Arm, ...]
    labels: tuple[str, ...]

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """One run of each arm: the weight is the recipe's, the rest differs little between seeds."""
        yield from (shop.trained(arm, seeds[0]) for arm in self.arms)

    def write(self, results: Results, folder: Path) -> str:
        """Three pictures of the first finished seed of each arm, and in words what the curves do."""
        entries = [one for one in (self._first(results, *each) for each in self._named()) if one is not None]
        if not entries:
            return ""
        from tastemaker.report import credit_figures as figures
        from tastemaker.report.credit_page import say_effective, say_share, say_weight

        drawn = [figures.weights(entries), figures.shares(entries), figures.effective_credit(entries)]
        said = [say(entry) for say in (say_weight, say_share) for entry in entries]
        said += [say_effective(entry, entry.recorded) for entry in entries if entry.recorded is not None]
        write_json(folder / f"{self.key}.json", {figure.name: dict(figure.data) for figure in drawn})
        pictures = [picture(figure, folder, self.key) for figure in drawn]
        return "\n".join([f"### {self.title}", "", *pictures, *(f"- {line}" for line in said), ""])

    def _named(self) -> Iterator[tuple[str, Arm]]:
        return zip(self.labels, self.arms, strict=True)

    def _first(self, results: Results, label: str, arm: Arm) -> Entry | None:
        return next(iter(entries_of(results, label, arm)), None)


@dataclass(frozen=True)
class Beats:
    """Share of prompts on which an arm beats the base, by every judge, ties ½ (`exhibit.Exhibit`)."""

    key: str
    paper: Paper
    title: str
    model: str
    arms: tuple[Arm, ...]
    labels: tuple[str, ...]

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base and every arm, scored."""
        return scored(shop, self.model, self.arms, seeds)

    def write(self, results: Results, folder: Path) -> str:
        """The picture, the table behind it, and `<key>.json`."""
        if not results.shop.base(self.model).done:
            return ""
        judges = [judge.name for judge in results.shop.profile.judges]
        found = {
            label: {judge: beat(results, arm, judge) for judge in judges}
            for label, arm in zip(self.labels, self.arms, strict=True)
            if results.seeds_of(arm)
        }
        if not found:
            return ""
        counts = {label: len(results.seeds_of(arm)) for label, arm in zip(self.labels, self.arms, strict=True)}
        plain = {label: {judge: asdict(rate) for judge, rate in rates.items()} for label, rates in found.items()}
        write_json(folder / f"{self.key}.json", {"seeds": counts, "beats": finite(plain)})
        draw_beats(found, folder / f"{self.key}.png")
        rows = [["", "seeds", *judges]]
        rows += [
            [name, str(counts[name]), *(interval(r, ".3f") for r in rates.values())] for name, rates in found.items()
        ]
        said = "Share of the prompts on which the arm beats the base, ties ½; 95 % over seeds and prompts."
        return "\n".join([f"### {self.title}", "", f"![{said}]({self.key}.png)", "", said, "", *rows_of(rows), ""])


def beat(results: Results, arm: Arm, judge: str) -> Interval:
    """The beat ratio of an arm against the base by ``judge``."""
    d = results.difference(arm, None, judge)
    return share(outcomes(d.ravel(), results.shop.profile.judge(judge).epsilon).reshape(d.shape))


def entries_of(results: Results, label: str, arm: Arm) -> list[Entry]:
    """Every finished run of ``arm`` as `tastemaker credit` reads it, called by ``label`` and seed."""
    from tastemaker.report.credit import from_run

    seeds = [seed for seed in range(MOST_SEEDS) if (results.shop.place(arm, seed) / "run" / "summary.json").exists()]
    return [replace(from_run(results.shop.place(arm, seed) / "run"), name=f"{label}, seed {seed}") for seed in seeds]


def draw_beats(found: dict[str, dict[str, Interval]], path: Path) -> None:
    """A group of points with intervals for each judge."""
    from matplotlib.figure import Figure as Canvas

    judges = list(next(iter(found.values())))
    canvas = Canvas(figsize=(2.2 + 1.6 * len(judges), 3.2), layout="constrained", dpi=110)
    axes = canvas.subplots()
    for place, (label, rates) in enumerate(found.items()):
        x = [number + 0.8 * (place + 0.5) / len(found) - 0.4 for number in range(len(judges))]
        half = [0.0 if math.isinf(rate.low) else rate.high - rate.value for rate in rates.values()]
        low = [0.0 if math.isinf(rate.low) else rate.value - rate.low for rate in rates.values()]
        axes.errorbar(x, [rate.value for rate in rates.values()], [low, half], fmt="o", capsize=2, label=label)
    axes.axhline(0.5, color="#8a8a8a", linewidth=0.8)
    axes.set(xticks=range(len(judges)), ylabel="beats the base", ylim=(0, 1))
    axes.set_xticklabels(judges)
    axes.legend(fontsize=7, ncol=2)
    save(canvas, path)
