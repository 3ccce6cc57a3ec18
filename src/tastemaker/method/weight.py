"""Credit, second half: how much a visited step counts, ω(t), as a factor on the native error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.process.prediction import Prediction


class Constant(BaseModel):
    """ω(t) = 1: the simplified objective (Ho et al. 2020, arXiv:2006.11239, eq. 14)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["constant"] = "constant"

    def __call__(self, prediction: Prediction) -> Tensor:
        """ω [B] in float32 at the noise levels of ``prediction``."""
        import torch

        return torch.ones_like(prediction.alpha)
