"""Flux.1 of Black Forest Labs as a `Backbone`: dev, which is distilled from guided sampling, and schnell.

The transformer reads a sequence of patches, 2×2 latents each, with the row and column of every patch beside it.
Latents are unpacked, [B, C, H, W], wherever this module's callers see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from diffusers import FluxPipeline
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from tastemaker.backbone.autoencoder import Autoencoder
from tastemaker.backbone.backbone import Condition
from tastemaker.backbone.flow import flow_process, t5_embeds, whole_patches
from tastemaker.backbone.loaded import Loaded
from tastemaker.backbone.parts import freeze, number_format, tokens
from tastemaker.base.placing import put
from tastemaker.process.prediction import Head, Prediction

if TYPE_CHECKING:
    from diffusers import FluxTransformer2DModel

T5_TOKENS = 512
"""Tokens that T5 reads of a prompt, the pipeline's default."""
PATCH = 2
"""Side in latents of what the transformer reads as one token."""
GUIDANCE = 1.0
"""The scale that a distilled model is told where a condition has none; sampling has its own (3.5 in the pipeline).

At 1 the model's velocity is that of the images themselves, which is what the error is measured against; diffusers' own
LoRA training for Flux is published with it.
"""


class Flux(Loaded):
    """A `FluxPipeline`'s parts, frozen. ``identify`` says the model's identity when it is asked for.

    Raises `UserError` for an autoencoder or a scheduler that this architecture is not known to have.
    """

    part = "transformer"
    head: Head = "flow"

    def __init__(self, pipeline: FluxPipeline, identify: Callable[[], str]) -> None:
        self._pipeline, self._identify = pipeline, identify
        self.denoiser: FluxTransformer2DModel = pipeline.transformer
        self.schedule = flow_process(pipeline.scheduler)
        self._autoencoder = Autoencoder(pipeline.vae, PATCH)
        self.distilled: bool = pipeline.transformer.config.guidance_embeds
        self.resolution: int = pipeline.default_sample_size * self._autoencoder.factor
        freeze(pipeline)

    def latent_shape(self, resolution: int) -> tuple[int, int, int]:
        """(C, H, W) of the latent of a square image. Raises `UserError` when the sides do not divide evenly."""
        return self._autoencoder.latent_shape(resolution)

    @torch.no_grad()
    def condition(self, prompts: Sequence[str]) -> Condition:
        """``embeds`` [B, 512, D] of T5 and ``pooled`` [B, D], CLIP's end token; longer prompts are cut."""
        parts = self._pipeline
        ids = tokens(parts.tokenizer, prompts).input_ids.to(parts.text_encoder.device)
        pooled: Tensor = parts.text_encoder(ids).pooler_output
        embeds = t5_embeds(parts.tokenizer_2, parts.text_encoder_2, prompts, T5_TOKENS)
        return {"embeds": embeds, "pooled": pooled.float()}

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Prediction:
        """The velocity ε − x0 that the transformer reads from ``x_t``; it computes in its own number format.

        Raises `UserError` for latents of an odd side.
        """
        whole_patches(x_t, PATCH)
        dtype = number_format(self.denoiser)
        alpha, sigma = (put(level, self.device) for level in self.schedule.levels(t))
        embeds = put(condition["embeds"], self.device, dtype)
        height, width = x_t.shape[-2] // PATCH, x_t.shape[-1] // PATCH
        output = self.denoiser(
            hidden_states=self.pack(put(x_t, self.device, dtype)),
            timestep=sigma,
            guidance=self._told(sigma, condition) if self.distilled else None,
            encoder_hidden_states=embeds,
            pooled_projections=put(condition["pooled"], self.device, dtype),
            txt_ids=embeds.new_zeros(embeds.shape[1], 3),
            img_ids=put(positions(height, width), self.device, dtype),
        ).sample
        return Prediction(unpacked(output, height, width), x_t, alpha, sigma, self.head)

    def _told(self, sigma: Tensor, condition: Condition) -> Tensor:
        """The guidance scale of each row."""
        return put(condition["guidance"], self.device) if "guidance" in condition else torch.full_like(sigma, GUIDANCE)

    def pipeline(self) -> FluxPipeline:
        """A new pipeline over the same parts: a scheduler that its user changes stays with its user."""
        parts: dict[str, Any] = self._pipeline.components | {self.part: self.denoiser}
        return FluxPipeline(**parts)

    def pack(self, latents: Tensor) -> Tensor:
        """``latents`` [B, C, H, W] as patches [B, H/2 · W/2, 4C] row by row; a patch holds its channels one by one."""
        return pixel_unshuffle(latents, PATCH).flatten(2).transpose(1, 2)


def unpacked(patches: Tensor, height: int, width: int) -> Tensor:
    """The latents [B, C, 2 ``height``, 2 ``width``] of ``height`` × ``width`` patches; undoes `Flux.pack`."""
    return pixel_shuffle(patches.transpose(1, 2).unflatten(2, (height, width)), PATCH)


def positions(height: int, width: int) -> Tensor:
    """(0, row, column) [``height`` · ``width``, 3] of every patch; a text token is at (0, 0, 0)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).flatten(0, 1)
