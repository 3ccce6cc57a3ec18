"""Which pairs are kept, and in which order training will read them. Pure: arrays in, indices out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.rank.threshold import knee, longest

if TYPE_CHECKING:
    import numpy as np


LIMITS = ("fraction", "count", "min_quality", "threshold", "max_wrong_rate")


@dataclass(frozen=True)
class Cut:
    """At most one of the five limits; none keeps every pair.

    ``fraction`` and ``count`` keep the first pairs of the order, ``min_quality`` those with Q ≥ it; ``threshold``
    ``knee`` keeps up to the knee of the sorted worth, ``max_wrong_rate`` as many as the expected rate of wrong labels
    allows (`threshold`). The order ``random`` is the paper's baseline (all pairs) and the control for a subset
    (``count`` of them); ``seed`` draws it. The order ``quality`` is that of the worth, whichever was chosen.
    """

    fraction: float | None = None
    count: int | None = None
    min_quality: float | None = None
    order: Literal["quality", "random"] = "quality"
    seed: int = 0
    threshold: Literal["knee"] | None = None
    max_wrong_rate: float | None = None

    def __post_init__(self) -> None:
        if len(self.limits) > 1:
            raise UserError(f"{_flags(self.limits)}: they exclude each other; give one of them, or none for all pairs")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise UserError(f"--fraction {self.fraction}: must be above 0 and at most 1 (0.3 keeps 30 %)")
        if self.count is not None and self.count < 1:
            raise UserError(f"--count {self.count}: must be at least 1")
        if self.min_quality is not None and not 0 <= self.min_quality <= 1:
            raise UserError(f"--min-quality {self.min_quality}: Q lies between 0 and 1")
        if self.order not in ("quality", "random"):
            raise UserError(f"--order {self.order}: say quality or random")
        self._check_data_driven()

    def _check_data_driven(self) -> None:
        if self.threshold not in (None, "knee"):
            raise UserError(f"--threshold {self.threshold}: say knee")
        if self.max_wrong_rate is not None and not 0 < self.max_wrong_rate < 1:
            raise UserError(f"--max-wrong-rate {self.max_wrong_rate}: must be above 0 and below 1 (0.05 is 5 %)")
        if self.order == "random" and (self.threshold or self.max_wrong_rate):
            raise UserError(f"{_flags(self.limits)} and --order random: a drawn order has no such place; leave one out")

    @property
    def limits(self) -> list[str]:
        """The limit that was given, if one was."""
        return [name for name in LIMITS if getattr(self, name) is not None]

    def as_json(self) -> dict[str, Any]:
        """For metadata and fingerprint; limits that came later stand there only where they are used."""
        later = ("threshold", "max_wrong_rate")
        return {name: value for name, value in asdict(self).items() if name not in later or value is not None}


def choose(
    worth: np.ndarray,
    pair_id: Sequence[str],
    cut: Cut,
    *,
    quality: np.ndarray | None = None,
    wrong: np.ndarray | None = None,
    best: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Indices (kept, left out) of n pairs with worth [n]; kept in training order, left out best first.

    ``quality`` [n] is what ``min_quality`` looks at (the worth itself if not given), ``wrong`` [n] the probability of a
    wrong label, ``best`` [n] another order than `best_first`. Nothing depends on the order of the rows that come in.
    Raises `UserError` when the cut keeps nothing, or asks for more pairs than there are.
    """
    import numpy as np

    quality = worth if quality is None else quality
    best = best_first(worth, pair_id) if best is None else best
    order = best if cut.order == "quality" else random_order(pair_id, cut.seed)
    keep = np.zeros(len(order), bool)
    keep[order[: _limit(order, cut, worth, wrong)]] = True
    if cut.min_quality is not None:
        keep &= quality >= cut.min_quality
    if not keep.any():
        raise UserError(_nothing(quality, cut))
    return order[keep[order]], best[~keep[best]]


def best_first(quality: np.ndarray, pair_id: Sequence[str]) -> np.ndarray:
    """Indices by falling Q; equal Q by pair id, so that the order never depends on the machine or the input's order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.table({"quality": quality, "pair_id": pair_id})
    order: np.ndarray = pc.sort_indices(table, [("quality", "descending"), ("pair_id", "ascending")]).to_numpy()
    return order


def random_order(pair_id: Sequence[str], seed: int) -> np.ndarray:
    """Indices in an order drawn by (seed, pair id): pairs that come or go leave the order of the rest."""
    import numpy as np

    keys = np.array([draw.seed("rank order", seed, str(name)) for name in pair_id], dtype=np.int64)
    return best_first(-keys, pair_id)


def _limit(order: np.ndarray, cut: Cut, worth: np.ndarray, wrong: np.ndarray | None) -> int:
    """How many of the first pairs of ``order`` stay."""
    pairs = len(order)
    if cut.count is not None and cut.count > pairs:
        raise UserError(f"--count {cut.count}: only {pairs} can be ranked; ask for at most that")
    if not pairs:
        return 0
    if cut.threshold is not None:
        return knee(worth[order]).kept
    if cut.max_wrong_rate is not None:
        assert wrong is not None, "the rate of wrong labels needs their probabilities"
        return longest(wrong[order], cut.max_wrong_rate)
    # the nearest whole number; a fraction that is not 0 keeps at least one pair
    return cut.count or (pairs if cut.fraction is None else max(1, int(cut.fraction * pairs + 0.5)))


def _nothing(quality: np.ndarray, cut: Cut) -> str:
    if not len(quality):
        return (
            "there is no pair with a winner and both scores, and no image with a verdict and a score; "
            "look at the ties and at the scorer's quarantine.jsonl"
        )
    return f"--min-quality {cut.min_quality}: none reaches it, the best has {quality.max():.4f}; choose a lower one"


def _flags(names: Sequence[str]) -> str:
    return " and ".join("--" + name.replace("_", "-") for name in names)
