"""One table that nobody has: all losses × all credits × {all pairs, the best, as many at random}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import write_text
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.arm import CREDITS, LOSSES, Arm, Pairs
from tastemaker.reproduce.exhibit import Paper, scored
from tastemaker.reproduce.output import save
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.qsd import TOP, best
from tastemaker.reproduce.results import Results, crossed
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of
from tastemaker.reproduce.typeset import latex, tidy

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Counts = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

SURE = 5
"""Seeds from which on a cell is told with its interval."""
COLUMNS = ("pairs", "loss", "credit", "arm", "seeds", "value", "low", "high")
"""Of `<key>.csv`."""
GRID_CREDITS = tuple(name for name in CREDITS if not name.startswith("slice-"))


@dataclass(frozen=True)
class Found:
    """What has come out in a cell."""

    arm: Arm
    seeds: int
    difference: Interval


@dataclass(frozen=True)
class Grid:
    """``cells`` maps (set, loss, credit) to the arm, where there is one (`exhibit.Exhibit`)."""

    key: str
    paper: Paper
    title: str
    model: str
    sets: tuple[str, ...]
    losses: tuple[str, ...]
    credits: tuple[str, ...]
    cells: Mapping[tuple[str, str, str], Arm]

    @property
    def arms(self) -> list[Arm]:
        """Every arm, each once."""
        return list(dict.fromkeys(self.cells.values()))

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base and every arm, scored."""
        return scored(shop, self.model, self.arms, seeds)

    def write(self, results: Results, folder: Path) -> str:
        """`<key>.png`, the tables behind it (also as `<key>.tex`), the cells with intervals, and who leads.

        `<key>.csv` holds every cell with its interval.
        """
        if not (results.has_base(self.model) and any(results.seeds_of(arm) for arm in self.arms)):
            return ""
        self._draw(results, folder / f"{self.key}.png")
        found = self.differences(results)
        write_text(folder / f"{self.key}.csv", tidy(COLUMNS, [_tidy(*each) for each in found.items()]))
        tables, sure = [self._rows(name, results) for name in self.sets], self._sure(results, found)
        write_text(folder / f"{self.key}.tex", latex(self.title, *tables, *([sure] if len(sure) > 1 else [])))
        parts = [f"### {self.title}", "", f"![{self.title}]({self.key}.png)", ""]
        for rows in tables:
            parts += [*rows_of(rows), ""]
        said = rows_of(sure) if len(sure) > 1 else [f"No cell has run with {SURE} seeds yet: no interval is told here."]
        return "\n".join([*parts, *said, "", leader(self, results), ""])

    def differences(self, results: Results) -> dict[tuple[str, str, str], Found]:
        """Of every cell that has run: difference to the base by the first judge with its interval, best first."""
        judge = results.shop.profile.judges[0].name
        have = {key: len(results.seeds_of(arm)) for key, arm in self.cells.items()}
        found = {
            key: Found(self.cells[key], count, crossed(results.difference(self.cells[key], None, judge)))
            for key, count in have.items()
            if count
        }
        return dict(sorted(found.items(), key=lambda each: -each[1].difference.value))

    def table(self, pairs: str, results: Results) -> tuple[Floats, Counts]:
        """Mean difference to the base by the first judge [losses, credits], NaN where nothing has run, and seeds."""
        import numpy as np

        shape = (len(self.losses), len(self.credits))
        values, seeds = np.full(shape, np.nan), np.zeros(shape, np.int64)
        judge = results.shop.profile.judges[0].name
        for row, loss in enumerate(self.losses):
            for column, credit in enumerate(self.credits):
                arm = self.cells.get((pairs, loss, credit))
                if arm is not None and (have := results.seeds_of(arm)):
                    values[row, column] = results.difference(arm, None, judge).mean()
                    seeds[row, column] = len(have)
        return values, seeds

    def _rows(self, name: str, results: Results) -> list[list[str]]:
        values, seeds = self.table(name, results)
        rows = [[f"{name}: {results.shop.profile.judges[0].name} − base", *self.credits]]
        for loss, found, have in zip(self.losses, values.tolist(), seeds.tolist(), strict=True):
            cells = zip(found, have, strict=True)
            rows.append([loss, *(f"{value:+.3f} ({count})" if count else "–" for value, count in cells)])
        return rows

    def _sure(self, results: Results, found: Mapping[tuple[str, str, str], Found]) -> list[list[str]]:
        """The cells with `SURE` seeds or more, best first, below a head."""
        head = ["pairs", "loss", "credit", "seeds", f"{results.shop.profile.judges[0].name} − base (95 %)"]
        sure = ((key, each) for key, each in found.items() if each.seeds >= SURE)
        return [head, *([*key, str(each.seeds), interval(each.difference, "+.3f")] for key, each in sure)]

    def _draw(self, results: Results, path: Path) -> None:
        """A panel a set of pairs; the colour is the mean difference to the base, with the number of seeds below."""
        import numpy as np
        from matplotlib.figure import Figure

        cells = {name: self.table(name, results) for name in self.sets}
        largest = float(np.nanmax(np.abs(np.concatenate([values.ravel() for values, _ in cells.values()]))))
        canvas = Figure(figsize=(5.2 * len(cells), 3.6), layout="constrained", dpi=110)
        panels = canvas.subplots(1, len(cells), squeeze=False)[0]
        for axes, (name, (values, seeds)) in zip(panels, cells.items(), strict=True):
            shown = axes.imshow(values, cmap="RdBu", vmin=-largest, vmax=largest, aspect="auto")
            for (row, column), value in np.ndenumerate(values):
                if np.isfinite(value):
                    text = f"{value:+.3f}\n{seeds[row, column]}"
                    axes.text(column, row, text, ha="center", va="center", fontsize=6)
            axes.set(title=name, xticks=range(len(self.credits)), yticks=range(len(self.losses)))
            axes.set_xticklabels(self.credits, rotation=40, ha="right", fontsize=7)
            axes.set_yticklabels(self.losses, fontsize=7)
        judge = results.shop.profile.judges[0].name
        canvas.colorbar(shown, ax=canvas.axes, label=f"{judge} − base (and the number of seeds)")
        save(canvas, path)


def _tidy(key: tuple[str, str, str], found: Found) -> dict[str, Any]:
    named = dict(zip(("pairs", "loss", "credit"), key, strict=True))
    return {**named, "arm": found.arm.name, "seeds": found.seeds, **asdict(found.difference)}


def leader(grid: Grid, results: Results) -> str:
    """The best combination with the most seeds, named only where it is distinguishable from the next."""
    judge = results.shop.profile.judges[0].name
    most = max((len(results.seeds_of(arm)) for arm in grid.arms), default=0)
    ready = [arm for arm in grid.arms if len(results.seeds_of(arm)) == most]
    if most < 2 or len(ready) < 2:
        return "No two combinations have run with two seeds yet; nothing is said about the best."
    means = {arm: float(results.difference(arm, None, judge).mean()) for arm in ready}
    first, second = sorted(ready, key=lambda arm: -means[arm])[:2]
    apart = crossed(results.difference(first, second, judge))
    if apart.low <= 0:
        return (
            f"The two that lead ({most} seeds) are not distinguishable ({interval(apart, '+.3f')}): none is named best."
        )
    return f"`{first.name}` leads, by {interval(apart, '+.3f')} over the next, `{second.name}` ({most} seeds)."


def sets(profile: Profile) -> dict[str, Pairs]:
    """The three sets of pairs, by what they are called in the heat map."""
    share = profile.share(TOP)
    return {"all": Pairs(), "QSD": best(profile), "random": Pairs("random", share=share)}


def grid(profile: Profile, model: str) -> Grid:
    """Every combination that has a meaning (`possible`)."""
    found = sets(profile)
    cells = {
        (name, loss, credit): arm
        for name, pairs in found.items()
        for loss in LOSSES
        for credit in GRID_CREDITS
        if possible(arm := Arm(model, pairs, loss, credit))
    }
    title = f"All losses × all credits × all, best and random pairs ({model})"
    return Grid("grid", "ours", title, model, tuple(found), tuple(LOSSES), GRID_CREDITS, cells)


def possible(arm: Arm) -> bool:
    """Whether a method of this loss and credit exists; those that do not are refused by `Method` itself."""
    from pydantic import ValidationError

    from tastemaker.method.method import Method

    try:
        Method.model_validate(arm.method({}))
    except ValidationError:
        return False
    return True
