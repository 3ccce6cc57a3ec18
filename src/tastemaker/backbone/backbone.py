"""What every diffusion model offers, whatever its architecture.

Pixels are [B, 3, H, W] in [−1, 1]; latents are scaled as the denoiser sees them. Whatever is returned is float32 unless
said otherwise, and lies on the model's device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from torch import Tensor, device, nn

from tastemaker.process.prediction import Head, Prediction
from tastemaker.process.schedule import Schedule

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

Condition = dict[str, Tensor]
"""What the denoiser reads beside the latents; rows are examples.

``embeds`` [B, L, D], the prompt's tokens; ``pooled`` [B, D], the prompt as a whole (SDXL, SD3, Flux); ``time_ids``
[B, 6] in pixels, of the image: original height and width, top and left of the crop, height and width after it (SDXL);
``guidance`` [B], the scale that a model distilled from guided sampling is told (Flux dev).
A model reads what it knows, so training may give ``time_ids`` to all.
"""


class Moments(NamedTuple):
    """Mean and standard deviation of an image's latent, [B, C, H, W] each, already times the scaling factor."""

    mean: Tensor
    std: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """The latent mean + std · noise."""
        return self.mean + self.std * noise


class Backbone(Protocol):
    """A latent text-to-image diffusion model. It knows no loss and no method."""

    schedule: Schedule
    head: Head
    resolution: int
    """Side in pixels that the model was trained at."""
    part: str
    """Name of the denoiser in the pipeline and in files of LoRA weights: ``unet`` or ``transformer``."""
    denoiser: nn.Module
    """The network that `forward` runs; what training changes."""
    distilled: bool
    """Whether the model was distilled from guided sampling, so that it is told the scale in one pass."""

    @property
    def key(self) -> str:
        """Identity of the model as it was loaded: hub id and commit, or the hash of a folder's files."""
        ...

    @property
    def device(self) -> device:
        """Where the model is."""
        ...

    @property
    def scaling_factor(self) -> float:
        """What the autoencoder's latents are multiplied with for the denoiser."""
        ...

    def latent_shape(self, resolution: int) -> tuple[int, int, int]:
        """(C, H, W) of the latent of a square image. Raises `UserError` when the sides do not divide evenly."""
        ...

    def encode(self, pixels: Tensor) -> Moments:
        """Moments of the latents of ``pixels``."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels of ``latents``, cut to [−1, 1]."""
        ...

    def condition(self, prompts: Sequence[str]) -> Condition:
        """What the denoiser reads of ``prompts``, one row each."""
        ...

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Prediction:
        """Run the denoiser on ``x_t`` [B, C, H, W] at steps ``t`` [B] (best kept on the CPU); gradients flow."""
        ...

    def pipeline(self) -> DiffusionPipeline:
        """A diffusers pipeline over the model as it stands, trained weights included, to sample from or to save."""
        ...

    def pack(self, latents: Tensor) -> Tensor:
        """``latents`` [B, C, H, W] in the layout that the pipeline takes as its argument ``latents``."""
        ...
