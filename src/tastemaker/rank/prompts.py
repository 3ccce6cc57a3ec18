"""How the kept pairs spread over the prompts: at most so many of each, in turn, and the figures that tell.

The best pairs by a scorer may crowd on the few prompts that it judges most surely, and a model that learns from them
alone sees little of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Spread:
    """``per_prompt`` keeps the best so many pairs of each prompt; ``diverse`` orders the prompts' pairs in turn.

    In turn means: every prompt's best pair, by worth, then every prompt's second, and so on.
    """

    per_prompt: int | None = None
    diverse: bool = False

    def __post_init__(self) -> None:
        if self.per_prompt is not None and self.per_prompt < 1:
            raise UserError(f"--per-prompt {self.per_prompt}: must be at least 1")


def over(prompt: np.ndarray, most: int) -> np.ndarray:
    """bool [n]: which of the pairs, best first and with these prompt codes, come after the ``most`` of their prompt."""
    from tastemaker.rank.codes import occurrence

    return occurrence(prompt) >= most


def in_turn(prompt: np.ndarray) -> np.ndarray:
    """The places of n pairs, best first and with these prompt codes, in the order of `Spread.diverse`."""
    import numpy as np

    from tastemaker.rank.codes import occurrence

    return np.argsort(occurrence(prompt), kind="stable")


def distribution(prompt: np.ndarray) -> dict[str, float]:
    """How n pairs with these prompt codes spread.

    ``prompts`` is the number of prompts, ``top_percent`` the share of the pairs that the most frequent 1 % of them have
    (one prompt at least), ``effective`` the number of equally frequent prompts of the same entropy, e^H with
    H = −Σ p ln p, and ``gini`` is 0 where all have the same number and near 1 where one has all.
    """
    import numpy as np

    count = np.sort(np.bincount(prompt))
    count = count[count > 0]
    m, total, p = len(count), int(count.sum()), count / max(count.sum(), 1)
    if not total:
        return {"prompts": 0, "top_percent": 0.0, "effective": 0.0, "gini": 0.0}
    return {
        "prompts": m,
        "top_percent": float(count[-max(1, m // 100) :].sum() / total),
        "effective": float(np.exp(-(p * np.log(p)).sum())),
        "gini": float(2 * (np.arange(1, m + 1) * count).sum() / (m * total) - (m + 1) / m),
    }
