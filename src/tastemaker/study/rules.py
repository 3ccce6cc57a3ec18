"""The rules of exclusion as settings, without what `exclusion` computes: recipes hold them, and load fast."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Rules(BaseModel):
    """The rules of exclusion; each is off where it is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gold_missed: float | None = Field(None, ge=0, lt=1, description="largest share of the gold items missed")
    self_disagreement: float | None = Field(None, ge=0, lt=1, description="largest share of repeats changed")
    median_seconds: float | None = Field(None, gt=0, description="smallest median of seconds a vote")
    one_side: float | None = Field(None, gt=0, lt=1, description="largest share of choices on one and the same side")
    majority_agreement: float | None = Field(None, gt=0, le=1, description="smallest agreement with the others")
    few_votes: int | None = Field(None, ge=1, description="smallest number of votes")
    evidence: int = Field(3, ge=1, description="answers that a share must rest on before its rule counts")
