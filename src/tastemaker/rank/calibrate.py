"""Raw score → ψ ∈ [0, 1].

    r    raw score of one (image, prompt)
    ψ    the same on the scale of a probability; everything outside [0, 1] is clipped, and counted

The texts that say which map a scorer wants: ``identity`` (HPSv2's cosine), ``range:0,10`` (LAION aesthetics),
``range:-3,3`` (ImageReward, standardised by its authors), ``standardise`` or ``standardise:3`` (PickScore; mean and
standard deviation are those of the data set, the number is the clip in standard deviations).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np

KNOWN = "identity, range:LOW,HIGH, standardise or standardise:CLIP"


@dataclass(frozen=True)
class Identity:
    """ψ = clip(r, 0, 1)."""

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """ψ, float64 [n]."""
        return _float64(raw).clip(0.0, 1.0)

    def clipped(self, raw: np.ndarray) -> int:
        """How many scores lie outside [0, 1]."""
        return _outside(raw, 0.0, 1.0)


@dataclass(frozen=True)
class Range:
    """ψ = clip((r − low) / (high − low), 0, 1)."""

    low: float
    high: float

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """ψ, float64 [n]."""
        return ((_float64(raw) - self.low) / (self.high - self.low)).clip(0.0, 1.0)

    def clipped(self, raw: np.ndarray) -> int:
        """How many scores lie outside [low, high]."""
        return _outside(raw, self.low, self.high)


@dataclass(frozen=True)
class Standardise:
    """z = (r − mean) / std, ψ = (clip(z, −clip, clip) + clip) / (2·clip); DPO-QSD for PickScore, with clip 3."""

    mean: float
    std: float
    clip: float = 3.0

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """ψ, float64 [n]."""
        return (self._z(raw).clip(-self.clip, self.clip) + self.clip) / (2.0 * self.clip)

    def clipped(self, raw: np.ndarray) -> int:
        """How many scores lie more than ``clip`` standard deviations from the mean."""
        return _outside(self._z(raw), -self.clip, self.clip)

    def _z(self, raw: np.ndarray) -> np.ndarray:
        return (_float64(raw) - self.mean) / self.std


Calibration = Identity | Range | Standardise


def fit(description: str, raw_of_distinct: np.ndarray) -> Calibration:
    """The calibration that ``description`` asks for.

    ``raw_of_distinct`` [n] are the scores of all distinct (image, prompt), winners and losers together; only
    ``standardise`` looks at them (mean and population standard deviation). Raises `UserError` for a text that is
    not understood, and for equal scores, which cannot be standardised.
    """
    kind, _, rest = description.strip().partition(":")
    numbers = _numbers(description, rest)
    if kind == "identity" and not numbers:
        return Identity()
    if kind == "range" and len(numbers) == 2 and numbers[0] < numbers[1]:
        return Range(*numbers)
    if kind == "standardise" and len(numbers) <= 1 and all(number > 0 for number in numbers):
        return _standardise(raw_of_distinct, *numbers)
    raise UserError(f"calibration {description!r} is not understood; say {KNOWN}")


def as_json(calibration: Calibration) -> dict[str, Any]:
    """For the metadata of the ranked pairs: the kind and its numbers."""
    return {"kind": type(calibration).__name__.lower(), **asdict(calibration)}


def _standardise(raw: np.ndarray, clip: float = 3.0) -> Standardise:
    raw = _float64(raw)
    if raw.size == 0 or raw.min() == raw.max():
        raise UserError("standardise: all scores are equal; choose another --calibration, such as range:LOW,HIGH")
    return Standardise(float(raw.mean()), float(raw.std()), clip)


def _numbers(description: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")] if text else []
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise UserError(f"calibration {description!r} is not understood; say {KNOWN}")
    return numbers


def _float64(raw: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.asarray(raw, np.float64)


def _outside(values: np.ndarray, low: float, high: float) -> int:
    values = _float64(values)
    return int(((values < low) | (values > high)).sum())
