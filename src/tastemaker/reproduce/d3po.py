"""D3PO's figures (arXiv 2311.13231): rewards against images sampled, rates before and after, memory of a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import write_json
from tastemaker.evaluate.holm import holm
from tastemaker.evaluate.winrate import Interval, outcomes
from tastemaker.reproduce import d3po_runs, online
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.d3po_asked import Asked
from tastemaker.reproduce.d3po_memory import Memory
from tastemaker.reproduce.d3po_rates import Rates
from tastemaker.reproduce.exhibit import Exhibit, Paper
from tastemaker.reproduce.output import save
from tastemaker.reproduce.profile import Judge, Profile
from tastemaker.reproduce.results import ALPHA, SURE, Results, crossed, p_value, share
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

REWARDED = (online.COMPRESSIBILITY, online.INCOMPRESSIBILITY, online.AESTHETICS, online.PEOPLE)
COLOUR, BASE_COLOUR, SHOWN = "#2357c4", "#8a8a8a", 10


def exhibits(profile: Profile) -> list[Exhibit]:
    """Its figures; rates of simulated people where the profile has them, elsewhere what can be had without people."""
    found: list[Exhibit] = []
    if rewarded := tuple(name for name in REWARDED if name in profile.online):
        found.append(Rewards(rewarded))
    if {online.SHAPES, online.PEOPLE} <= set(profile.online):
        found.append(Rates(online.SHAPES, online.PEOPLE))
    elif rewarded:
        found.append(Asked(rewarded))
    return [*found, Memory()] if profile.online else found


@dataclass(frozen=True)
class Rewards:
    """A panel a task: seeds, their mean and range, and the base; then held-out prompts (`exhibit.Exhibit`)."""

    tasks: tuple[str, ...]
    key: str = "rewards"
    paper: Paper = "d3po"
    title: str = "D3PO: reward against images sampled"
    arms: tuple[Arm, ...] = ()

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base, and every task."""
        return d3po_runs.scored_all(shop, self.tasks, seeds)

    def write(self, results: Results, folder: Path) -> str:
        """`rewards.png`, its numbers in `rewards.json`, every score in `rewards.parquet`, and pictures of each task."""
        shop = results.shop
        there = [name for name in self.tasks if d3po_runs.seeds_of(shop, name)]
        if not there:
            return ""
        lines = {name: _plain(shop, name) for name in there}
        write_json(folder / f"{self.key}.json", {"title": self.title, "tasks": lines})
        d3po_runs.write_ledger(shop, there, folder / f"{self.key}.parquet")
        self._draw(shop, there, folder / f"{self.key}.png")
        for name in there:
            _pictures(shop, name, folder / f"{self.key}-{name}.png")
        return "\n".join([f"### {self.title}", "", *self._lines(shop, there), ""])

    def _lines(self, shop: Shop, there: Sequence[str]) -> Iterator[str]:
        found = changes(shop, there)
        yield from (f"![{self.title}]({self.key}.png)", "", CAPTION, "")
        yield from rows_of([HEAD, *map(_row, found)])
        yield from ("", NOTE, "")
        if online.AESTHETICS not in self.tasks and online.PEOPLE in self.tasks:
            yield from (STANDS_IN, "")
        yield from (_sentence(name, [one for one in found if one.task == name]) for name in there)
        for name in there:
            yield from ("", f"{name}, the base in the first row, then a row a seed:", "")
            yield f"![{name}]({self.key}-{name}.png)"

    def _draw(self, shop: Shop, there: Sequence[str], path: Path) -> None:
        from matplotlib.figure import Figure

        canvas = Figure(figsize=(4 * len(there), 3), layout="constrained", dpi=110)
        for axes, name in zip(canvas.subplots(1, len(there), squeeze=False)[0], there, strict=True):
            _panel(axes, *d3po_runs.rewards(shop, name))
            judge = shop.profile.online[name].taught.name
            axes.set(title=name if judge == name else f"{name}: {judge}", xlabel="images sampled before")
            axes.legend()
        save(canvas, path)


CAPTION = (
    "Mean reward of the images of each round, which the model in training has just drawn; thin lines are seeds, the "
    "thick one their mean, the band their range. The base's line is the first round, which the base itself draws; "
    "every round has other prompts. The table is of held-out prompts, from the same noise, after the last round."
)
NOTE = (
    "† by this the model was taught; the others show what it costs. Intervals are over seeds and prompts and not "
    "corrected; what is said below is, for all rows (Holm). Our source of the paper prints no figures of its curves, "
    "so none stand beside ours."
)
STANDS_IN = (
    "The paper's third reward, aesthetics, has no counterpart here: the small world has no scorer of beauty. In its "
    f"place stands `{online.PEOPLE}`, a simulated person who goes by the world's own utility and errs; that is no "
    "measure of beauty, and its curve is not the paper's."
)
HEAD = ["task", "judged by", "seeds", "base", "D3PO", "D3PO − base (95 %)", "win rate (95 %)"]


@dataclass(frozen=True)
class Change:
    """Held-out prompts of a task by one judge: means of the base and of what was learned, and how they differ.

    ``p`` is after Holm over all that is told beside it; ``taught`` says whether the model was taught by this judge.
    """

    task: str
    judge: str
    taught: bool
    seeds: int
    before: float
    after: float
    by: Interval
    wins: Interval
    p: float

    @property
    def way(self) -> str:
        """In which direction, as far as it can be said."""
        if self.seeds < SURE:
            return f"too few seeds ({self.seeds}) to say"
        if self.p > ALPHA:
            return "not distinguishable"
        return "higher" if self.by.value > 0 else "lower"


def changes(shop: Shop, tasks: Sequence[str]) -> list[Change]:
    """Every task that has run by each of its judges."""
    found = [change(shop, name, judge) for name in tasks for judge in shop.profile.online[name].judges]
    return [replace(one, p=p) for one, p in zip(found, holm([one.p for one in found]), strict=True)]


def change(shop: Shop, name: str, judge: Judge) -> Change:
    """One of them, p not yet corrected."""
    before, after = d3po_runs.scores(shop, name, judge.name)
    d, taught = after - before, judge == shop.profile.online[name].taught
    wins = share(outcomes(d.ravel(), judge.epsilon).reshape(d.shape))
    means = float(before.mean()), float(after.mean())
    return Change(name, judge.name, taught, len(d), *means, crossed(d), wins, p_value(d))


def _row(one: Change) -> list[str]:
    figures = [f"{one.before:.3f}", f"{one.after:.3f}", interval(one.by, "+.3f"), interval(one.wins, ".3f")]
    return [one.task, one.judge + ("†" if one.taught else ""), str(one.seeds), *figures]


def _sentence(name: str, found: Sequence[Change]) -> str:
    said = ", ".join(f"{one.judge} {one.way}" for one in found)
    return f"- {name}, against the base on held-out prompts: {said}"


def _plain(shop: Shop, name: str) -> dict[str, Any]:
    images, means = d3po_runs.rewards(shop, name)
    return {"seeds": d3po_runs.seeds_of(shop, name), "images": images, "rewards": means.tolist()}


def _panel(axes: Axes, images: Sequence[int], means: Floats) -> None:
    middle = means.mean(0)
    axes.axhline(middle[0], color=BASE_COLOUR, linewidth=0.8, label="base")
    axes.fill_between(images, means.min(0), means.max(0), color=COLOUR, alpha=0.15, linewidth=0)
    for line in means:
        axes.plot(images, line, color=COLOUR, linewidth=0.6, alpha=0.6)
    axes.plot(images, middle, color=COLOUR, linewidth=1.8, label=f"D3PO, seeds: {len(means)}")
    axes.grid(alpha=0.3)


def _pictures(shop: Shop, name: str, path: Path) -> None:
    """The first prompts, the same noise: the base in the first row, then a row a seed."""
    from tastemaker.evaluate.contact_sheet import grid
    from tastemaker.evaluate.images import first_samples

    places = [d3po_runs.place(shop, name, seed) for seed in d3po_runs.seeds_of(shop, name)]
    folders = [place / "images" for place in (d3po_runs.base(shop, name).out.parent, *places)]
    rows = [first_samples(folder, range(SHOWN)) for folder in folders]
    sheet = grid([row[index][1] for row in rows for index in sorted(row)], columns=len(rows[0]))
    save(sheet, path)
