"""One table that nobody has: all losses × all credits × {all pairs, the best, as many at random}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tastemaker.base.files import write_text
from tastemaker.reproduce import heat_map, margins
from tastemaker.reproduce.arm import CREDITS, LOSSES, Arm, Pairs
from tastemaker.reproduce.exhibit import Paper, scored
from tastemaker.reproduce.heat_map import Cell, Found, Panel
from tastemaker.reproduce.leader import leader, seeds_named
from tastemaker.reproduce.output import save
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.qsd import TOP, best
from tastemaker.reproduce.results import SURE, Results, crossed
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of
from tastemaker.reproduce.typeset import latex, tidy

COLUMNS = ("pairs", "loss", "credit", "arm", "seeds", "value", "low", "high")
"""Of `<key>.csv`."""
GRID_CREDITS = tuple(name for name in CREDITS if not name.startswith("slice-"))
BEST = "QSD"
"""What the set of the best pairs is called."""
MARGINS = "These means are of cells that share prompts and seeds: no test is made of them."
Key = tuple[str, str, str]
"""Set, loss and credit."""


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
    cells: Mapping[Key, Arm]

    @property
    def arms(self) -> list[Arm]:
        """Every arm, each once."""
        return list(dict.fromkeys(self.cells.values()))

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base and every arm, scored."""
        return scored(shop, self.model, self.arms, seeds)

    def write(self, results: Results, folder: Path) -> str:
        """`<key>.png`, the tables behind it (also as `<key>.tex`), the cells with `SURE` seeds, and who leads.

        `<key>.csv` holds every cell with its interval.
        """
        if not (results.has_base(self.model) and (found := self.differences(results))):
            return ""
        judge, panels = results.shop.profile.judges[0].name, [self._panel(name, found) for name in self.sets]
        save(heat_map.draw(panels, self.losses, self.credits, judge), folder / f"{self.key}.png")
        write_text(folder / f"{self.key}.csv", tidy(COLUMNS, [self._tidy(*each) for each in found.items()]))
        tables, sure = [self._rows(panel, judge) for panel in panels], _sure(found, judge)
        write_text(folder / f"{self.key}.tex", latex(self.title, *tables, *([sure] if sure else [])))
        parts = [f"### {self.title}", "", f"![{self.title}]({self.key}.png)", ""]
        means, contrasts = self._margins(results)
        for rows in [*tables, means, sure]:
            parts += [*rows_of(rows), ""] if rows else []
        return "\n".join([*parts, *contrasts, leader(results, self.arms), ""])

    def differences(self, results: Results) -> dict[Key, Found]:
        """Of every cell that has run: difference to the base by the first judge with its interval, best first."""
        judge = results.shop.profile.judges[0].name
        have = {key: len(results.seeds_of(arm)) for key, arm in self.cells.items()}
        found = {
            key: Found(crossed(results.difference(self.cells[key], None, judge)), count)
            for key, count in have.items()
            if count
        }
        return dict(sorted(found.items(), key=lambda each: -each[1].difference.value))

    def _panel(self, name: str, found: Mapping[Key, Found]) -> Panel:
        def cell(loss: str, credit: str) -> Cell:
            key = (name, loss, credit)
            return found.get(key, heat_map.NOT_RUN if key in self.cells else heat_map.NONE)

        return Panel(name, [[cell(loss, credit) for credit in self.credits] for loss in self.losses])

    def _rows(self, panel: Panel, judge: str) -> list[list[str]]:
        """A panel in letters, below a head."""
        rows = [[f"{panel.title}: {judge} − base", *self.credits]]
        for loss, cells in zip(self.losses, panel.cells, strict=True):
            rows.append([loss, *(cell if isinstance(cell, str) else " ".join(cell.words) for cell in cells)])
        return rows

    def _margins(self, results: Results) -> tuple[list[list[str]], list[str]]:
        """Means over rows and columns below a head, and the best pairs against the other sets, in lines.

        Nothing before two combinations have run with every set, and nothing in a table without the best pairs.
        """
        seeds, differences = self._on_common_seeds(results)
        combinations = margins.complete(differences, self.sets)
        if len(combinations) < 2 or BEST not in self.sets:
            return [], []
        head = f"mean {results.shop.profile.judges[0].name} − base, {seeds_named(seeds)}"
        told = [margins.contrast(combinations, BEST, other) for other in self.sets if other != BEST]
        return margins.rows(combinations, self.sets, head), [f"{'; '.join(told)}. {MARGINS}", ""]

    def _on_common_seeds(self, results: Results) -> tuple[list[int], dict[Key, float]]:
        """The seeds that all cells which have run share, and each cell's difference to the base there."""
        judge = results.shop.profile.judges[0].name
        have = {key: seeds for key, arm in self.cells.items() if (seeds := results.seeds_of(arm))}
        seeds = sorted(set.intersection(*map(set, have.values())))
        if not seeds:
            return [], {}
        base = float(results.scores(None, judge, seeds, self.model).mean())
        return seeds, {
            key: float(results.scores(self.cells[key], judge, seeds, self.model).mean()) - base for key in have
        }

    def _tidy(self, key: Key, found: Found) -> dict[str, Any]:
        named = dict(zip(("pairs", "loss", "credit"), key, strict=True))
        return {**named, "arm": self.cells[key].name, "seeds": found.seeds, **asdict(found.difference)}


def _sure(found: Mapping[Key, Found], judge: str) -> list[list[str]]:
    """The cells with `SURE` seeds or more, best first, below a head; empty where there is none."""
    sure = [(key, each) for key, each in found.items() if each.seeds >= SURE]
    head = ["pairs", "loss", "credit", "seeds", f"{judge} − base (95 %)"]
    rows = [[*key, str(each.seeds), interval(each.difference, "+.3f")] for key, each in sure]
    return [head, *rows] if rows else []


def sets(profile: Profile) -> dict[str, Pairs]:
    """The three sets of pairs, by what they are called in the heat map."""
    share = profile.share(TOP)
    return {"all": Pairs(), BEST: best(profile), "random": Pairs("random", share=share)}


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
