"""Several scorers: how their opinions of a pair become one.

    ψ_k   of an image, by scorer k with weight a_k      W_k   worth of a pair by scorer k alone

    mean     worth of ψ = Σ a_k ψ_k / Σ a_k
    min      worth of ψ = min_k ψ_k: an image is as good as the scorer says who likes it least
    rank     Σ a_k R_k / Σ a_k, where R_k ∈ [0, 1] is the place of W_k among all pairs, 1 the best
    pareto   fronts of (W_1, …, W_K) in turn: first the pairs to which no other is preferred by all; in a front by the
             mean of W_k

``mean`` and ``rank`` heed the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np

Combine = Literal["mean", "min", "rank", "pareto"]


@dataclass(frozen=True)
class Ensemble:
    """``combine`` None means that it was not said (mean); ``weights`` are by a scorer's name or id, else 1."""

    combine: Combine | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if not 0 < weight < math.inf:
                raise UserError(f"--weight {name}={weight:g}: must be above 0; leave a scorer out that shall not count")
        if self.weights and self.combine in ("min", "pareto"):
            raise UserError(f"--weight: --combine {self.combine} has no weights; say mean or rank, or leave them out")

    def of(self, scorers: Sequence[str]) -> list[float]:
        """The weights of the ids ``scorers``; raises `UserError` for a weight that belongs to none of them."""
        names = {scorer: (scorer, scorer.partition("@")[0]) for scorer in scorers}
        for given in self.weights:
            if sum(given in known for known in names.values()) != 1:
                raise UserError(f"--weight {given}: is not one of the scorers {', '.join(scorers)}; name one of them")
        return [next((self.weights[name] for name in known if name in self.weights), 1.0) for known in names.values()]


def blend(psi: np.ndarray, weights: Sequence[float], combine: Combine | None = None) -> np.ndarray:
    """One ψ, float64 [2, n], of several [K, 2, n]: the smallest for ``min``, else the weighted mean."""
    import numpy as np

    if len(psi) == 1:
        return np.asarray(psi[0])
    return np.min(psi, 0) if combine == "min" else np.average(psi, axis=0, weights=weights)


def mean_rank(worth: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Weighted mean of the places, float64 [n], of worths [K, n]: 1 is the best by all; equal ones share a place."""
    import numpy as np
    from scipy.stats import rankdata

    last = max(worth.shape[1] - 1, 1)
    return np.average((rankdata(worth, axis=1) - 1) / last, axis=0, weights=weights)


def pareto_order(worth: np.ndarray, most: int | None = None) -> np.ndarray:
    """−front + the place by mean worth within [0, 1), float64 [n], of worths [K, n].

    ``most`` is how many pairs need a front (`pareto.fronts`).
    """
    import numpy as np
    from scipy.stats import rankdata

    from tastemaker.rank.pareto import fronts

    return (rankdata(worth.mean(0)) - 1) / max(worth.shape[1], 1) - fronts(np.ascontiguousarray(worth.T), most)
