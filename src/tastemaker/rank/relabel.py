"""Labels that the scorers clearly contradict: turned round, or made a tie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from tastemaker.rank.judge import Judged


@dataclass(frozen=True)
class Relabel:
    """A pair whose loser lies above its winner by more than ``margin``, ψ_l − ψ_w > m, for every scorer.

    ``swap`` believes the scorers, ``tie`` believes nobody and the pair is left out. None changes nothing.
    """

    to: Literal["swap", "tie"] | None = None
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.to not in (None, "swap", "tie"):
            raise UserError(f"--relabel {self.to}: say swap or tie")
        if not 0 <= self.margin <= 1:
            raise UserError(f"--relabel-margin {self.margin}: a difference of ψ, from 0 to 1")
        if self.margin and self.to is None:
            raise UserError("--relabel-margin: says how clear it must be; give --relabel swap or tie with it")


def relabel(judged: Judged, how: Relabel) -> Judged:
    """``judged`` with the contradicted pairs changed, which their origin says; a swapped pair keeps its strength."""
    import numpy as np

    from tastemaker.rank.judge import SWAPPED, TIED

    against = (judged.psi[:, 1] - judged.psi[:, 0] > how.margin).all(0) & ~judged.tie  # NaN is no contradiction
    if how.to == "swap":
        return replace(judged.turned(against), origin=np.where(against, SWAPPED, judged.origin).astype(np.int8))
    if how.to == "tie":
        origin = np.where(against, TIED, judged.origin).astype(np.int8)
        strength = np.where(against, 0.0, judged.strength)
        return replace(judged, tie=judged.tie | against, strength=strength, origin=origin)
    return judged
