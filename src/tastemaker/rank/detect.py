"""Are probabilities what they say? The reliability table and the expected calibration error.

How well a number finds wrong labels (the area under the ROC curve) stands in `evaluate.detection`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Bin:
    """Some of the answers, of similar probability."""

    pairs: int
    said: float
    """Mean probability."""
    seen: float
    """Share that came true."""


@dataclass(frozen=True)
class Reliability:
    """Bins of about equally many answers, from the least to the most probable."""

    bins: tuple[Bin, ...]

    @property
    def error(self) -> float:
        """Expected calibration error, Σ n_b |said_b − seen_b| / n (Naeini et al. 2015, on bins of equal mass)."""
        total = sum(one.pairs for one in self.bins)
        return sum(one.pairs * abs(one.said - one.seen) for one in self.bins) / total

    def as_json(self) -> dict[str, Any]:
        """For the summary."""
        return {"calibration_error": self.error, "bins": [asdict(one) for one in self.bins]}


def reliability(probability: np.ndarray, came_true: np.ndarray, bins: int = 10) -> Reliability:
    """The table of n probabilities and what happened (bool or a share, [n]); equal probabilities share a bin.

    It does not depend on the order of the answers. `ValueError` for none.
    """
    import numpy as np

    if not len(probability):
        raise ValueError("a reliability table needs answers")
    order = np.lexsort((came_true, probability))  # so that the sums have the same order, too
    said, seen = probability[order], np.asarray(came_true, np.float64)[order]
    place = np.searchsorted(said, said) * bins // len(said)
    parts = np.split(np.arange(len(said)), np.flatnonzero(np.diff(place)) + 1)
    return Reliability(tuple(Bin(len(part), float(said[part].mean()), float(seen[part].mean())) for part in parts))
