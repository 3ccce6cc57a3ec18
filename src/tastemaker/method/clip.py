"""Credit, third part, for steps that were really sampled: how far one of them may be pulled (D3PO's ratio clip).

Legend: ρ = log π_θ(a|s) − log π_r(a|s), the log-ratio of one step of one image; winner and loser sides.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tastemaker.method.evidence import TRANSITION

if TYPE_CHECKING:
    from torch import Tensor


class RatioClip(BaseModel):
    """ρ ← clamp(ρ, log(1 − ε), log(1 + ε)) (Yang et al. 2023, arXiv:2311.13231, as in its code).

    ``epsilon`` is ε. A step that is far enough gets no gradient. So does a winner that has *fallen* below 1 − ε, which
    nothing pulls back then: `wrong_side` counts those.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = (TRANSITION,)

    kind: Literal["ratio-clip"] = "ratio-clip"
    epsilon: float = Field(0.1, gt=0, lt=1)

    @property
    def bounds(self) -> tuple[float, float]:
        """(log(1 − ε), log(1 + ε))."""
        return math.log1p(-self.epsilon), math.log1p(self.epsilon)

    def __call__(self, ratio: Tensor) -> Tensor:
        """Clipped log-ratios, of the shape of ``ratio``."""
        low, high = self.bounds
        return ratio.clamp(low, high)

    def clipped(self, ratio: Tensor) -> Tensor:
        """Whether each log-ratio lies outside."""
        low, high = self.bounds
        return (ratio < low) | (ratio > high)

    def wrong_side(self, winner: Tensor, loser: Tensor) -> tuple[Tensor, Tensor]:
        """Whether a winner's log-ratio lies below the bounds, and a loser's above: lost to training."""
        low, high = self.bounds
        return winner < low, loser > high
