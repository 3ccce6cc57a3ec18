"""One table that nobody has: all losses × all credits × {all pairs, the best, as many at random}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import atomic_file
from tastemaker.reproduce.arm import CREDITS, LOSSES, Arm, Pairs
from tastemaker.reproduce.exhibit import Paper, scored
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.qsd import TOP, best
from tastemaker.reproduce.results import Results, crossed
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Counts = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

GRID_CREDITS = tuple(name for name in CREDITS if not name.startswith("slice-"))


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
        """`<key>.png`, the tables behind it, and who leads."""
        if not any(results.seeds_of(arm) for arm in self.arms):
            return ""
        self._draw(results, folder / f"{self.key}.png")
        parts = [f"### {self.title}", "", f"![{self.title}]({self.key}.png)", ""]
        for name in self.sets:
            parts += [*self._lines(name, results), ""]
        return "\n".join([*parts, leader(self, results), ""])

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

    def _lines(self, name: str, results: Results) -> list[str]:
        values, seeds = self.table(name, results)
        rows = [[f"{name}: {results.shop.profile.judges[0].name} − base", *self.credits]]
        for loss, found, have in zip(self.losses, values.tolist(), seeds.tolist(), strict=True):
            cells = zip(found, have, strict=True)
            rows.append([loss, *(f"{value:+.3f} ({count})" if count else "–" for value, count in cells)])
        return rows_of(rows)

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
        with atomic_file(path) as temporary:
            canvas.savefig(temporary, format="png")


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
