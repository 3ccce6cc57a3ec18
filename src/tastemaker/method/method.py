"""A method = evidence × credit × link; a recipe's ``method`` section is this value written down."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tastemaker.method.evidence import Denoising
from tastemaker.method.links import Link, Logistic
from tastemaker.method.weight import Constant
from tastemaker.method.when import Uniform, When


class Credit(BaseModel):
    """Which denoising steps are visited and how much each counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    when: When = Field(default_factory=Uniform)
    weight: Constant = Field(default_factory=Constant)


class Method(BaseModel):
    """How a pair becomes a loss. The default is Diffusion-DPO with its published setting.

    Raises `pydantic.ValidationError` for an unknown field or a combination that has no meaning, with the reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    evidence: Denoising = Field(default_factory=Denoising)
    credit: Credit = Field(default_factory=Credit)
    link: Link = Field(default_factory=Logistic)

    @model_validator(mode="after")
    def _possible(self) -> Method:
        if self.needs_reference and self.evidence.reference == "none":
            raise ValueError(
                f"link '{self.link.kind}' compares with a reference, but evidence.reference is 'none': set it to 'base'"
            )
        return self

    @property
    def needs_reference(self) -> bool:
        """Whether the frozen model is run beside the policy."""
        return self.link.needs_reference

    @property
    def needs_loser(self) -> bool:
        """Whether the losers are run beside the winners."""
        return self.link.needs_loser
