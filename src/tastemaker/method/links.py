"""Links: how a pair is judged. Costs of a batch in, one loss per pair out; no step, no model, no mean.

Legend: n_θ^w the policy's cost of the winner, m margin (`tastemaker.method.evidence`); all [P] in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.method.evidence import Evidence


class Logistic(BaseModel):
    """Diffusion-DPO: −log σ(z), z = β m / 2 (Wallace et al. 2023, arXiv:2311.12908, eq. 14, in the scale of its code).

    With label smoothing p: −(1−p) log σ(z) − p log σ(−z), p being the share of wrong labels (cDPO, Mitchell 2023).
    ``beta`` multiplies a *mean* squared native error (β of the sum is β / numel): 2000 for SD1.5, 5000 for SDXL.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    needs_reference: ClassVar[bool] = True
    needs_loser: ClassVar[bool] = True

    kind: Literal["logistic"] = "logistic"
    beta: float = Field(2000.0, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)

    def __call__(self, evidence: Evidence) -> Tensor:
        """Loss [P]; log 2 at margin 0."""
        from torch.nn.functional import logsigmoid

        z = self.beta / 2 * evidence.margin
        return -(1 - self.label_smoothing) * logsigmoid(z) - self.label_smoothing * logsigmoid(-z)


class Sft(BaseModel):
    """Supervised fine-tuning on the winners: n_θ^w. No loser, no reference."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    needs_reference: ClassVar[bool] = False
    needs_loser: ClassVar[bool] = False

    kind: Literal["sft"] = "sft"

    def __call__(self, evidence: Evidence) -> Tensor:
        """Loss [P], the cost of the winner."""
        return evidence.policy_winner


Link = Annotated[Logistic | Sft, Field(discriminator="kind")]
