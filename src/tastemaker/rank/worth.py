"""What a pair is worth as a lesson: the number by which pairs are ordered.

    quality         Q = ψ_w (1 − ψ_l)                 (`quality`, DPO-QSD)
    margin          ψ_w − ψ_l
    bradley-terry   σ(Σ_k Δ_k / τ_k) of the raw scores (`bradley_terry`)
    agreement       share of the scorers that prefer the winner, equal scores counting ½; equal shares by mean margin
    kto             a selector, not a scale: the smaller number of comparisons of the two images, if the winner won all
                    of its own and the loser lost all of its own (`record`)

Only the order means anything between scorers; of `bradley-terry` the number is a probability.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from tastemaker.base.errors import UserError
from tastemaker.rank.quality import quality

if TYPE_CHECKING:
    import numpy as np

By = Literal["quality", "margin", "bradley-terry", "agreement", "kto"]
SCALES: tuple[By, ...] = ("quality", "margin")
"""What one scorer's ψ gives, and `ensemble` combines; the others deal with several scorers in their own way."""


@dataclass(frozen=True)
class Worth:
    """``temperature`` is τ of Bradley and Terry, in units of the raw score; fitted to the labels where it is None."""

    by: By = "quality"
    temperature: float | None = None

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise UserError(f"--by {self.by}: say {', '.join(get_args(By))}")
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise UserError(f"--temperature {self.temperature}: must be above 0")


def by_psi(psi: np.ndarray, by: By) -> np.ndarray:
    """Q or the margin, float64 [n], of winners' and losers' ψ [2, n]; Q for what has no scale of its own."""
    import numpy as np

    return np.asarray(psi[0] - psi[1]) if by == "margin" else quality(psi[0], psi[1])


def agreement(psi: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """Share of the K scorers that prefer the winner, and a little of the mean margin, float64 [n].

    ``psi`` and ``raw`` [K, 2, n]. Raw scores say who is preferred: ψ is clipped. Shares lie 1/(2K) apart, and the mean
    margin is added as m/(8K), so it decides among equal shares and nothing else.
    """
    import numpy as np

    difference = raw[:, 0] - raw[:, 1]
    share = np.mean((np.sign(difference) + 1) / 2, axis=0)
    return np.asarray(share + (psi[:, 0] - psi[:, 1]).mean(0) / (8 * len(psi)))
