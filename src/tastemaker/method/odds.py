"""The odds link: winners are learned and set apart from losers at once, with no reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tastemaker.method.evidence import DENOISING

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.method.evidence import Evidence
    from tastemaker.method.links import Reads

SMALLEST = 1e-8
"""Costs below it count as this: the odds of a certain event are infinite."""


class Odds(BaseModel):
    """ORPO: n_w − λ log σ(logodds_w − logodds_l), p = e⁻ⁿ (Hong et al. 2024, arXiv:2403.07691, eq. 6–7).

    With d = log p − log(1 − p) = −n − log(1 − e⁻ⁿ) and d' = −1/(1 − e⁻ⁿ): dL/dn_w = 1 + λ σ(d_l − d_w)/(1 − e^{−n_w}),
    above 0, and dL/dn_l = −λ σ(d_l − d_w)/(1 − e^{−n_l}), below 0: training lowers n_w and *raises* n_l.
    ``weight`` is λ.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = (DENOISING,)
    reference: ClassVar[Reads] = "no"
    loser: ClassVar[Reads] = "required"
    linear: ClassVar[bool] = False

    kind: Literal["odds"] = "odds"
    weight: float = Field(0.1, gt=0)

    def __call__(self, evidence: Evidence) -> Tensor:
        """Loss [P]; n_w + λ log 2 for a pair of equals."""
        from torch.nn.functional import logsigmoid

        n_w, n_l = evidence.winner, evidence.loser
        return n_w - self.weight * logsigmoid(log_odds(n_w) - log_odds(n_l))


def log_odds(cost: Tensor) -> Tensor:
    """log p − log(1 − p) of p = e⁻ⁿ, stable for small and large n ≥ 0."""
    import torch

    n = cost.clamp(min=SMALLEST)
    return -n - torch.log(-torch.expm1(-n))
