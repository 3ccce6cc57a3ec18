"""What is reproduced: tables of arms with the published figures beside them, and claims about two arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.results import Results

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Counts = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Row:
    """A line of a table: ``published`` are the paper's figures under ``Table.metrics``, empty where it has none."""

    label: str
    arm: Arm | None
    """None is the base."""
    against: Arm | None = None
    """With whom the difference is taken."""
    published: tuple[float, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper: ``better`` lies above ``worse`` (None: the base)."""

    says: str
    better: Arm | None
    worse: Arm | None


@dataclass(frozen=True)
class Table:
    """A table of a paper; ``key`` is what `--only` takes."""

    key: str
    title: str
    model: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    metrics: tuple[str, ...] = ()
    """Names of the published columns."""

    @property
    def arms(self) -> list[Arm]:
        """Every arm that it needs, each once."""
        named = [row.arm for row in self.rows] + [row.against for row in self.rows]
        named += [arm for claim in self.claims for arm in (claim.better, claim.worse)]
        return list(dict.fromkeys(arm for arm in named if arm is not None))


@dataclass(frozen=True)
class Curve:
    """A figure of a metric against samples used: two arms that read their pairs once."""

    key: str
    title: str
    model: str
    arms: tuple[Arm, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """Losses × credits × sets of pairs; ``cells`` maps (set, loss, credit) to the arm, where there is one."""

    key: str
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
