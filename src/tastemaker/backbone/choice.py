"""What of a model is trained, as a recipe says it. No torch here: recipes are read without it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Lora(BaseModel):
    """Low-rank adapters, W + (alpha / rank) B A, on the denoiser's attention (Hu et al. 2021, arXiv:2106.09685).

    ``alpha`` unset is ``rank``, that is a scale of 1. ``targets`` are the endings of the names of linear layers. There
    is no dropout: its draws would not be a function of (seed, pair, visit), and the published recipes use none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["lora"] = "lora"
    rank: int = Field(64, ge=1)
    alpha: float | None = Field(None, gt=0)
    targets: tuple[str, ...] = Field(("to_q", "to_k", "to_v", "to_out.0"), min_length=1)


class Full(BaseModel):
    """Every weight of the denoiser, in float32; the reference is a frozen copy."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["full"] = "full"


Adapter = Annotated[Lora | Full, Field(discriminator="kind")]
