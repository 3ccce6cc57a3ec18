"""The settings of rollouts and rounds, one frozen model per block of a D3PO recipe, and what sources of feedback share.

Defaults are the published ones (D3PO, arXiv:2311.13231, and its code): 20 DDIM steps with η = 1, guidance 5, seven
images a prompt from one initial noise.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Rollout(BaseModel):
    """How images are sampled from the model in training."""

    model_config = FROZEN

    prompts: str
    """File of prompts (.txt, .csv, .tsv, .jsonl or .parquet)."""
    images: int = Field(7, ge=2)
    """Images of one prompt, all from the same initial noise."""
    steps: int = Field(20, ge=1)
    """Denoising steps of an image."""
    eta: float = Field(1.0, gt=0, le=1)
    """Share of a step's noise that is drawn anew; at 0 there would be nothing to choose between."""
    guidance: float = Field(5.0, ge=0, allow_inf_nan=False)
    """Classifier-free guidance, in sampling and in training."""
    resolution: int | None = Field(None, ge=1)
    """Side in pixels; none is the model's own."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number format of the kept latents; they are rounded before they are used."""
    prompts_at_once: int = Field(1, ge=1)
    """Prompts whose images are sampled in one batch; a killed run repeats at most one such batch."""


class Rounds(BaseModel):
    """How often new images are sampled, and how much is learnt from them."""

    model_config = FROZEN

    count: int = Field(10, ge=1)
    """Rounds: sample, hear what people like, train."""
    prompts: int = Field(32, ge=1)
    """Prompts of a round; the list is read in a shuffled order, again and again."""
    updates: int = Field(20, ge=1)
    """Optimizer steps of a round; its pairs are read again when they run out."""
    pairs: Literal["all", "best-worst"] = "all"
    """Which comparisons of a prompt's images are learnt from: all, or the best against the worst."""
    steps_at_once: int = Field(4, ge=1)
    """Steps of a micro-batch's pairs that are in memory at once; it changes no result, only memory and speed."""
    keep: int = Field(2, ge=1)
    """Rounds whose trajectories stay on disk; images and comparisons of all do."""
    watch: tuple[str, ...] = ()
    """Scorers whose mean over each round's images is logged; nothing is trained with them."""


class Source(BaseModel):
    """What every source of feedback says of itself, beside its ``scorers`` and ``choices(round)``."""

    model_config = FROZEN

    @property
    def poll(self) -> float | None:
        """Seconds between two looks of a command that waits for people; None where it ends and says what is missing."""
        return None

    def missing(self) -> list[str]:
        """One line for each library that is not installed, with the command that installs it."""
        return []

    def work(self, prompts: int, images: int) -> dict[str, int]:  # noqa: ARG002
        """What people do in a round, where they are asked one by one: figure → number."""
        return {}
