"""Pointwise links: each image is judged on its own.

Legend: ρ = n_r − n_θ log-ratio, y = ±1 liked or disliked, n_θ^w the winner's cost; losses [P] in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tastemaker.method.evidence import BOTH

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.method.evidence import Evidence
    from tastemaker.method.links import Reads


class Pointwise(BaseModel):
    """KTO: λ_y (1 − σ(y β (ρ − z0))), z0 = max(0, mean ρ) (Li et al. 2024, arXiv:2404.04465, eq. 8–9).

    z0 is the mean over the whole batch of the optimizer step before, without gradient, so that neither accumulation nor
    the number of devices changes it (their code takes the current micro-batch). A pair counts as a liked and a disliked
    image, its loss is their mean. dL/dn_θ = y λ β s (1 − s), s = σ(y β (ρ − z0)).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = BOTH
    reference: ClassVar[Reads] = "required"
    loser: ClassVar[Reads] = "optional"
    linear: ClassVar[bool] = False

    kind: Literal["pointwise"] = "pointwise"
    beta: float = Field(1000.0, gt=0)
    liked_weight: float = Field(1.0, gt=0)
    disliked_weight: float = Field(1.0, gt=0)

    def __call__(self, evidence: Evidence) -> Tensor:
        """Loss [P]; ½ where ρ = z0."""
        import torch

        ratio, sign = evidence.judged
        weight = torch.where(sign > 0, self.liked_weight, self.disliked_weight)
        loss = weight * torch.sigmoid(-sign * self.beta * (ratio - evidence.baseline))
        return loss if evidence.sign is not None else loss.view(2, -1).mean(0)


class Sft(BaseModel):
    """Supervised fine-tuning on the winners: n_θ^w. No loser, no reference. dL/dn_θ^w = 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = BOTH
    reference: ClassVar[Reads] = "no"
    loser: ClassVar[Reads] = "no"
    linear: ClassVar[bool] = True

    kind: Literal["sft"] = "sft"

    def __call__(self, evidence: Evidence) -> Tensor:
        """Loss [P], the cost of the winner."""
        return evidence.winner
