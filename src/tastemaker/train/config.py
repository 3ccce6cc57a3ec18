"""The settings of a training run, one frozen model per block of the recipe.

Defaults are the published ones (Diffusion-DPO, arXiv 2311.12908, and DPO-QSD): AdamW, 128 pairs a step,
constant rate 1e-4 without warm-up, one epoch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from tastemaker.train.choice import AdamW, Optimizer

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Source(BaseModel):
    """One of several folders of ranked pairs, and how much of the run is read from it."""

    model_config = FROZEN

    pairs: str
    """Folder that `tastemaker rank` wrote."""
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Its share of the pairs that are read, in proportion to the other weights; how large it is does not count."""


Folders = Annotated[
    Annotated[str, Tag("folder")] | Annotated[tuple[Source, ...], Tag("sources")],
    Discriminator(lambda given: "sources" if isinstance(given, list | tuple) else "folder"),
]


class Data(BaseModel):
    """Which pairs are read, in which order and how many of them."""

    model_config = FROZEN

    pairs: Folders
    """Folder that `tastemaker rank` wrote, or several: a list of `{pairs: folder, weight: 1}`."""
    cache: str
    """Folder that `tastemaker encode` wrote."""
    order: Literal["sorted", "random"] = "random"
    """`sorted` reads as ranked, best first; `random` shuffles each epoch, keyed by (seed, epoch, pair id)."""
    epochs: int = Field(1, ge=1)
    """How many times as many pairs are read as there are; a folder that runs out starts again at its first pair."""
    max_pairs: int | None = Field(None, ge=1)
    """Stop after this many pairs, counted over all epochs; none reads everything."""
    validation: str | None = None
    """Ranked folder of held-out pairs, encoded in the same cache; their accuracy is logged as training goes on."""

    @field_validator("pairs")
    @classmethod
    def _named_once(cls, pairs: str | tuple[Source, ...]) -> str | tuple[Source, ...]:
        if isinstance(pairs, str):
            return pairs
        if not pairs:
            raise ValueError("names no folder; give one that `tastemaker rank` wrote")
        folders = [Path(source.pairs).resolve() for source in pairs]
        if twice := [source.pairs for number, source in enumerate(pairs) if folders[number] in folders[:number]]:
            raise ValueError(f"{twice[0]} stands there twice; name it once, with the sum of the weights")
        return pairs

    @property
    def sources(self) -> tuple[Source, ...]:
        """The folders with their weights, also where there is only one."""
        return (Source(pairs=self.pairs),) if isinstance(self.pairs, str) else self.pairs

    @property
    def folders(self) -> str:
        """The folders, as one writes them on a command line."""
        return " ".join(source.pairs for source in self.sources)


class Settings(BaseModel):
    """How the weights are moved."""

    model_config = FROZEN

    seed: int = 0
    """Keys every draw: order, noise, times, caption drop, LoRA's first weights, sample grids."""
    batch_size: int = Field(8, ge=1)
    """Pairs a micro-batch, held in memory at once (winner and loser: twice as many images)."""
    accumulate: int = Field(16, ge=1)
    """Micro-batches an optimizer step; batch_size × accumulate pairs make one step."""
    optimizer: Optimizer = AdamW()
    """Which optimizer, with its own settings; `adamw` unless its kind is given."""
    lr: float = Field(1e-4, gt=0, allow_inf_nan=False)
    """The optimizer's rate after the warm-up."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the rate rises linearly from 0."""
    lr_scheduler: Literal["constant", "linear", "cosine"] = "constant"
    """How the rate goes on after the warm-up: it stays, or falls to min_lr on a line or on half a cosine."""
    min_lr: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Where a falling rate ends."""
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
    validate_every: int = Field(100, ge=0)
    """Optimizer steps between validations on data.validation; 0 validates only at the start and at the end."""
    validation_pairs: int = Field(256, ge=1)
    """Held-out pairs that are looked at, chosen by their ids."""
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

    @field_validator("optimizer", mode="before")
    @classmethod
    def _adamw_by_default(cls, given: Any) -> Any:
        return {"kind": "adamw"} | given if isinstance(given, dict) else given

    @property
    def pairs_a_step(self) -> int:
        """Pairs behind one update of the weights."""
        return self.batch_size * self.accumulate

    @model_validator(mode="after")
    def _possible(self) -> Settings:
        if self.min_lr and self.lr_scheduler == "constant":
            raise ValueError(f"min_lr: {self.min_lr:g} ends a falling rate; set lr_scheduler: cosine or linear")
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr: {self.min_lr:g} is above lr: {self.lr:g}, so the rate would rise; lower it")
        if self.sample_every and not self.sample_prompts:
            raise ValueError(
                f"sample_every: {self.sample_every} needs prompts to draw; give sample_prompts or set sample_every: 0"
            )
        return self


class Card(BaseModel):
    """What the model card says beside the run's own figures; it changes no weight."""

    model_config = FROZEN

    license: str | None = None
    """Licence of the weights as the hub calls it, such as openrail++ or apache-2.0."""
    datasets: tuple[str, ...] = ()
    """Hub ids of the data sets behind the pairs."""
