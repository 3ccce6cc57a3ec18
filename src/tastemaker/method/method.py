"""A method = evidence × credit × link; a recipe's ``method`` section is this value written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tastemaker.base.errors import UserError
from tastemaker.method.clip import RatioClip
from tastemaker.method.evidence import DENOISING, Denoising, Source
from tastemaker.method.links import Link
from tastemaker.method.pairwise import Logistic
from tastemaker.method.stepwise import Stepwise, ratio_weight
from tastemaker.method.weight import Constant, Weight
from tastemaker.method.when import Uniform, When

if TYPE_CHECKING:
    from tastemaker.process.prediction import Head
    from tastemaker.process.schedule import Schedule


class Credit(BaseModel):
    """Which denoising steps are visited, how much each counts, and how it is corrected."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    when: When = Field(default_factory=Uniform)
    weight: Weight = Field(default_factory=Constant)
    correction: Annotated[Stepwise | RatioClip, Field(discriminator="kind")] | None = None

    @model_validator(mode="after")
    def _possible(self) -> Credit:
        if self.when.kind == self.weight.kind == "discounted":
            raise ValueError("when and weight are both discounted, which counts γ twice: leave one at its default")
        return self

    @property
    def stepwise(self) -> Stepwise | None:
        """The correction that keeps a record, if it is one."""
        return self.correction if isinstance(self.correction, Stepwise) else None

    @property
    def clip(self) -> RatioClip | None:
        """The correction that clips ratios, if it is one."""
        return self.correction if isinstance(self.correction, RatioClip) else None


class Method(BaseModel):
    """How a pair becomes a loss. The default is Diffusion-DPO with its published setting.

    Raises `pydantic.ValidationError` for an unknown field or a combination that has no meaning, with the reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    evidence: Source = Field(default_factory=Denoising)
    credit: Credit = Field(default_factory=Credit)
    link: Link = Field(default_factory=Logistic)

    @field_validator("evidence", mode="before")
    @classmethod
    def _denoising_by_default(cls, given: Any) -> Any:
        return {"kind": DENOISING} | given if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _of_one_kind(self) -> Method:
        """Each part has a meaning on this evidence."""
        credit, kind = self.credit, self.evidence.kind
        parts = (("when", credit.when), ("weight", credit.weight), ("correction", credit.correction))
        for name, part in (
            *((f"credit.{name}", part) for name, part in parts if part is not None),
            ("link", self.link),
        ):
            if kind not in part.serves:
                made = " and ".join(part.serves)
                raise ValueError(f"{name} '{part.kind}' has no meaning on evidence '{kind}': it is made for {made}")
        return self

    @model_validator(mode="after")
    def _possible(self) -> Method:
        if self.link.reference == "required" and self.evidence.reference == "none":
            raise ValueError(
                f"link '{self.link.kind}' compares with a reference, but evidence.reference is 'none': set it to 'base'"
            )
        if self.credit.correction is not None and self.link.linear:
            raise ValueError(
                f"credit.correction has no gradient and link '{self.link.kind}' only adds it to the loss, so it would "
                "train nothing: remove it or choose another link"
            )
        if self.credit.clip is not None and not self.needs_reference:
            raise ValueError(
                f"credit.correction 'ratio-clip' bounds the ratio to a reference, and link '{self.link.kind}' with "
                f"evidence.reference '{self.evidence.reference}' reads none: remove the correction or choose others"
            )
        return self

    @property
    def needs_reference(self) -> bool:
        """Whether the frozen model is run beside the policy."""
        return self.link.reference != "no" and self.evidence.reference != "none"

    @property
    def needs_loser(self) -> bool:
        """Whether the losers of pairs are run beside the winners."""
        return self.link.loser != "no"

    def require(self, schedule: Schedule, head: Head) -> None:
        """Raise a `UserError` where a weight of this method is not finite on a model's own steps.

        That is an ε head at zero signal: there ε says nothing about x0, and a credit that speaks of x0 divides by 0.
        """
        import torch

        omega = self.credit.weight(torch.arange(schedule.steps), schedule, head)
        parts = [(f"weight.kind: {self.credit.weight.kind}", omega, "weight.kind: constant")]
        if self.credit.stepwise is not None:
            parts += [("correction.kind: stepwise", ratio_weight(schedule, head), "no correction")]
        for name, values, instead in parts:
            if not bool(values.isfinite().all()):
                raise UserError(
                    f"method.credit.{name} speaks of x0, but this model predicts {head} and its schedule ends in zero "
                    f"signal, where that says nothing of x0; use a model that predicts v, or {instead}"
                )
