"""Cuts that are read off the data: how long a beginning of the order to keep."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Knee:
    """Where the curve of the worth, sorted, lies farthest from the straight line between its ends."""

    kept: int
    worth: float
    """Of the last pair that is kept."""
    distance: float
    """From the chord, both axes scaled to [0, 1]; near 0 the curve is straight and the knee says nothing."""
    above: bool
    """Above the chord worth falls slowly up to the knee and fast behind it; below it is the other way round."""

    def as_json(self) -> dict[str, float]:
        """For the summary."""
        return asdict(self)


def knee(worth: np.ndarray) -> Knee:
    """The knee of n falling worths: the point of (i/(n − 1), (w_i − w_n)/(w_1 − w_n)) farthest from the chord.

    That is Kneedle without smoothing (Satopää et al. 2011). It is a shape and no promise: nothing says that labels
    behind it are worse. Of two equally far points the first counts. Raises `UserError` for less than three pairs
    and for a flat curve.
    """
    import numpy as np

    n = len(worth)
    if n < 3 or worth[0] == worth[-1]:
        raise UserError(f"--threshold knee: {n} pairs of {'equal' if n else 'no'} worth have none; say --fraction")
    height = (worth - worth[-1]) / (worth[0] - worth[-1])
    distance = (height + np.arange(n) / (n - 1) - 1) / np.sqrt(2)
    last = int(np.abs(distance).argmax())
    return Knee(last + 1, float(worth[last]), float(abs(distance[last])), bool(distance[last] > 0))


def longest(wrong: np.ndarray, most: float) -> int:
    """How many of the first pairs may stay so that their mean probability ``wrong`` [n] is at most ``most``.

    Raises `UserError` where not even the first may.
    """
    import numpy as np

    rate = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    good = np.flatnonzero(rate <= most + 1e-12)  # 0.2 is 0.2, however it was summed
    if not len(good):
        raise UserError(f"--max-wrong-rate {most:g}: none keeps it, the first pair has {rate[0]:.3g}; allow more")
    return int(good[-1]) + 1
