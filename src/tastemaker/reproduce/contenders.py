"""Which cells of the heat map get more seeds: the best after one, on prompts that no figure is of.

All are screened with seed `SCREEN`. A cell's rank is what its chosen checkpoint has reached on the tune prompts
(`choosing.choose`), so that the prompts that are reported have no say in what is reported of them; the seed has, and
`leader` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tastemaker.base.files import read_json
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.choosing import CHOSEN
from tastemaker.reproduce.exhibit import Paper, scored
from tastemaker.reproduce.grid import Grid
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import rows_of

SCREEN, MOST = 0, 12


@dataclass(frozen=True)
class Contenders:
    """The best cells of ``grid`` after the screen (`exhibit.Exhibit`); before it is through, the screen."""

    grid: Grid
    most: int = MOST
    key: str = "contenders"
    paper: Paper = "ours"

    @property
    def title(self) -> str:
        """Its heading."""
        return f"The combinations that are worth more seeds ({self.grid.model})"

    @property
    def arms(self) -> list[Arm]:
        """Every arm that may be among them."""
        return self.grid.arms

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The screen; where it is through, its best for ``seeds``."""
        yield from scored(shop, self.grid.model, self.arms, [SCREEN])
        yield from scored(shop, self.grid.model, contenders(shop, self.arms, self.most), seeds)

    def write(self, results: Results, folder: Path) -> str:  # noqa: ARG002
        """The best cells of the screen, and how many seeds they have; how far the screen is before it is through."""
        have = [arm for arm in self.arms if SCREEN in results.seeds_of(arm)]
        if not have:
            return ""
        said = [f"{len(have)} of {len(self.arms)} combinations are screened with seed {SCREEN}; none is chosen yet."]
        if chosen := contenders(results.shop, self.arms, self.most):
            said = [self._how(results), "", *rows_of(self._rows(results, chosen))]
        return "\n".join([f"### {self.title}", "", *said, ""])

    def _how(self, results: Results) -> str:
        judge = results.shop.profile.chosen_by
        return (
            f"The best {min(self.most, len(self.arms))} of {len(self.arms)} combinations after seed {SCREEN}, by "
            f"{judge} on the prompts that choose checkpoints; the reported prompts had no say."
        )

    def _rows(self, results: Results, chosen: Sequence[Arm]) -> list[list[str]]:
        named = {arm: list(key) for key, arm in self.grid.cells.items()}
        head = ["pairs", "loss", "credit", f"{results.shop.profile.chosen_by} of seed {SCREEN}", "seeds so far"]
        shown = [[f"{screened(results.shop, arm):.3f}", str(len(results.seeds_of(arm)))] for arm in chosen]
        return [head, *(named[arm] + each for arm, each in zip(chosen, shown, strict=True))]


def contenders(shop: Shop, arms: Sequence[Arm], most: int = MOST) -> list[Arm]:
    """The best ``most`` after the screen, best first; of equal ones the first. None before all are screened."""
    if not all(shop.scores(arm, SCREEN).exists() for arm in arms):
        return []
    return sorted(arms, key=lambda arm: -screened(shop, arm))[:most]


def screened(shop: Shop, arm: Arm) -> float:
    """The mean on the tune prompts of the checkpoint that was chosen in the screen."""
    chosen = read_json(shop.place(arm, SCREEN) / CHOSEN)
    return float(chosen["tune"][str(chosen["step"])])
