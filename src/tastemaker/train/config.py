"""The settings of a training run, one frozen model per block of the recipe.

Defaults are the published ones (Diffusion-DPO, arXiv 2311.12908, and DPO-QSD): AdamW, 128 pairs a step,
constant rate 1e-4 without warm-up, one epoch.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Data(BaseModel):
    """Which pairs are read, in which order and how many of them."""

    model_config = FROZEN

    pairs: str
    """Folder that `tastemaker rank` wrote."""
    cache: str
    """Folder that `tastemaker encode` wrote."""
    order: Literal["sorted", "random"] = "random"
    """`sorted` reads as ranked, best first; `random` shuffles each epoch, keyed by (seed, epoch, pair id)."""
    epochs: int = Field(1, ge=1)
    """How many times all pairs are read; a sorted order starts again at the best pair."""
    max_pairs: int | None = Field(None, ge=1)
    """Stop after this many pairs, counted over all epochs; none reads everything."""


class Settings(BaseModel):
    """How the weights are moved."""

    model_config = FROZEN

    seed: int = 0
    """Keys every draw: order, noise, times, caption drop, LoRA's first weights, sample grids."""
    batch_size: int = Field(8, ge=1)
    """Pairs a micro-batch, held in memory at once (winner and loser: twice as many images)."""
    accumulate: int = Field(16, ge=1)
    """Micro-batches an optimizer step; batch_size × accumulate pairs make one step."""
    lr: float = Field(1e-4, gt=0, allow_inf_nan=False)
    """AdamW's rate, constant after the warm-up."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the rate rises linearly from 0."""
    weight_decay: float = Field(1e-2, ge=0, allow_inf_nan=False)
    """Decoupled weight decay of AdamW."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of AdamW's first and second moment."""
    max_grad_norm: float = Field(1.0, ge=0, allow_inf_nan=False)
    """The gradient is scaled down to this norm when longer; 0 does not clip."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of a moving average of the trained weights, which samples and the export then use; 0 is off."""
    drop_caption: float = Field(0.0, ge=0, le=1)
    """Share of visits that see the empty prompt instead of the caption."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    checkpoint_every: int = Field(100, ge=0)
    """Optimizer steps between checkpoints; 0 saves only at the end and when stopped."""
    keep_checkpoints: int = Field(2, ge=1)
    """How many of the newest checkpoints stay."""
    log_every: int = Field(1, ge=1)
    """Optimizer steps averaged into one line of metrics.jsonl."""
    sample_every: int = Field(0, ge=0)
    """Optimizer steps between grids of sample images; 0 draws none."""
    sample_prompts: tuple[str, ...] = ()
    """The prompts of the grid."""
    sample_steps: int = Field(25, ge=1)
    """Denoising steps of a sample."""
    guidance: float = Field(7.5, ge=0, allow_inf_nan=False)
    """Classifier-free guidance of a sample."""
    device: str = "auto"
    """`auto` (CUDA where there is one) or a torch device such as `cuda:1`."""

    @property
    def pairs_a_step(self) -> int:
        """Pairs behind one update of the weights."""
        return self.batch_size * self.accumulate

    @model_validator(mode="after")
    def _possible(self) -> Settings:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas: {list(self.betas)} are not both in [0, 1); the usual ones are [0.9, 0.999]")
        if self.sample_every and not self.sample_prompts:
            raise ValueError(
                f"sample_every: {self.sample_every} needs prompts to draw; give sample_prompts or set sample_every: 0"
            )
        return self
