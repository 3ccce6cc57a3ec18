"""Which pairs are kept, and in which order training will read them. Pure: arrays in, indices out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tastemaker.base import draw
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Cut:
    """At most one of the three limits; none keeps every pair.

    ``fraction`` and ``count`` keep the first pairs of the order, ``min_quality`` those with Q ≥ it. The order
    ``random`` is the paper's baseline (all pairs) and the control for a subset (``count`` of them); ``seed`` draws it.
    """

    fraction: float | None = None
    count: int | None = None
    min_quality: float | None = None
    order: Literal["quality", "random"] = "quality"
    seed: int = 0

    def __post_init__(self) -> None:
        given = [name for name in ("fraction", "count", "min_quality") if getattr(self, name) is not None]
        if len(given) > 1:
            raise UserError(f"{_flags(given)}: they exclude each other; give one of them, or none for all pairs")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise UserError(f"--fraction {self.fraction}: must be above 0 and at most 1 (0.3 keeps 30 %)")
        if self.count is not None and self.count < 1:
            raise UserError(f"--count {self.count}: must be at least 1")
        if self.min_quality is not None and not 0 <= self.min_quality <= 1:
            raise UserError(f"--min-quality {self.min_quality}: Q lies between 0 and 1")
        if self.order not in ("quality", "random"):
            raise UserError(f"--order {self.order}: say quality or random")


def choose(quality: np.ndarray, pair_id: Sequence[str], cut: Cut) -> tuple[np.ndarray, np.ndarray]:
    """Indices (kept, left out) of n pairs with Q [n]; kept in training order, left out best first.

    Neither depends on the order of the rows that come in. Raises `UserError` when the cut keeps nothing, or asks
    for more pairs than there are.
    """
    import numpy as np

    best = best_first(quality, pair_id)
    order = best if cut.order == "quality" else random_order(pair_id, cut.seed)
    keep = np.zeros(len(order), bool)
    keep[order[: _limit(len(order), cut)]] = True
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


def _limit(pairs: int, cut: Cut) -> int:
    if cut.count is not None:
        if cut.count > pairs:
            raise UserError(f"--count {cut.count}: only {pairs} can be ranked; ask for at most that")
        return cut.count
    # the nearest whole number; a fraction that is not 0 keeps at least one pair
    return pairs if cut.fraction is None else max(1, int(cut.fraction * pairs + 0.5))


def _nothing(quality: np.ndarray, cut: Cut) -> str:
    if not len(quality):
        return (
            "there is no pair with a winner and both scores, and no image with a verdict and a score; "
            "look at the ties and at the scorer's quarantine.jsonl"
        )
    return f"--min-quality {cut.min_quality}: none reaches it, the best has {quality.max():.4f}; choose a lower one"


def _flags(names: Sequence[str]) -> str:
    return " and ".join("--" + name.replace("_", "-") for name in names)
