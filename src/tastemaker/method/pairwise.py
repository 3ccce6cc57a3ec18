"""Pairwise links: a pair is judged by its margin alone. Costs of a batch in, one loss a pair out.

Legend: n cost, m margin (`tastemaker.method.evidence`), z = β m / 2; all [P] in float32. β multiplies a *mean* squared
error (β of the sum is β / numel). What reads a reference but finds none raises `UserError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tastemaker.method.evidence import BOTH

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.method.evidence import Evidence
    from tastemaker.method.links import Reads


class Logistic(BaseModel):
    """Diffusion-DPO: −log σ(z), z = β m / 2 (Wallace et al. 2023, arXiv:2311.12908, eq. 14, in the scale of its code).

    With label smoothing p: −(1−p) log σ(z) − p log σ(−z), p being the share of wrong labels (cDPO, Mitchell 2023).
    ``beta`` is 2000 for SD1.5, 5000 for SDXL.

    dL/dz = σ(z) − (1 − p), so dL/dn_θ^w = (1 − p − σ(z)) β/2 and dL/dn_θ^l its negative.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = BOTH
    reference: ClassVar[Reads] = "required"
    loser: ClassVar[Reads] = "required"
    linear: ClassVar[bool] = False

    kind: Literal["logistic"] = "logistic"
    beta: float = Field(2000.0, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)

    def __call__(self, evidence: Evidence) -> Tensor:
        """Loss [P]; log 2 at margin 0."""
        from torch.nn.functional import logsigmoid

        z = self.beta / 2 * evidence.margin
        return -(1 - self.label_smoothing) * logsigmoid(z) - self.label_smoothing * logsigmoid(-z)


class Squared(BaseModel):
    """IPO: (z − ½)², z = β m / 2 (Azar et al. 2023, arXiv:2310.12036, eq. 17, on DPO's own z).

    The margin is drawn to 1/β and not beyond, however sure a label looks. At m = 0 the gradient is −dz, DPO's is −dz/2:
    one β serves both. dL/dn_θ^w = −β (z − ½).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = BOTH
    reference: ClassVar[Reads] = "required"
    loser: ClassVar[Reads] = "required"
    linear: ClassVar[bool] = False

    kind: Literal["squared"] = "squared"
    beta: float = Field(2000.0, gt=0)

    def __call__(self, evidence: Evidence) -> Tensor:
        """Loss [P]; ¼ at margin 0, 0 at margin 1/β."""
        return (self.beta / 2 * evidence.margin - 0.5).square()


class Hinge(BaseModel):
    """SLiC-HF: max(0, δ − z) + λ n_θ^w, z = β m / 2 (Zhao et al. 2023, arXiv:2305.10425, eq. 3–4).

    Theirs has no reference: with ``evidence.reference: none`` m is n_θ^l − n_θ^w. ``regulariser`` λ keeps the winners
    likely. dL/dn_θ^w = β/2 where z < δ and 0 beyond, plus λ; dL/dn_θ^l = −β/2 or 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serves: ClassVar[tuple[str, ...]] = BOTH
    reference: ClassVar[Reads] = "optional"
    loser: ClassVar[Reads] = "required"
    linear: ClassVar[bool] = False

    kind: Literal["hinge"] = "hinge"
    beta: float = Field(2000.0, gt=0)
    delta: float = Field(1.0, gt=0)
    regulariser: float = Field(0.0, ge=0)

    def __call__(self, evidence: Evidence) -> Tensor:
        """Loss [P]; δ at margin 0 without a regulariser."""
        margin = evidence.margin if evidence.reference else evidence.contrast
        return (self.delta - self.beta / 2 * margin).clamp(min=0) + self.regulariser * evidence.winner
