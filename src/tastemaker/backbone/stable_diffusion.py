"""Stable Diffusion 1.x and 2.x (Rombach et al. 2022, arXiv:2112.10752) as a `Backbone`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from tastemaker.backbone.autoencoder import Autoencoder
from tastemaker.backbone.backbone import Condition
from tastemaker.backbone.loaded import Loaded
from tastemaker.backbone.parts import freeze, noise_process, number_format, tokens
from tastemaker.base.placing import put
from tastemaker.process.prediction import Prediction

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel


class StableDiffusion(Loaded):
    """A `StableDiffusionPipeline`'s parts, frozen. ``identify`` says the model's identity when it is asked for.

    Raises `UserError` for a noise process or an autoencoder that this architecture is not known to have.
    """

    part = "unet"

    def __init__(self, pipeline: StableDiffusionPipeline, identify: Callable[[], str]) -> None:
        self._pipeline, self._identify = pipeline, identify
        self._autoencoder = Autoencoder(pipeline.vae)
        self.denoiser: UNet2DConditionModel = pipeline.unet
        self.schedule, self.head = noise_process(pipeline.scheduler)
        self.resolution: int = pipeline.unet.config.sample_size * self._autoencoder.factor
        freeze(pipeline)

    def latent_shape(self, resolution: int) -> tuple[int, int, int]:
        """(C, H, W) of the latent of a square image. Raises `UserError` when the sides do not divide evenly."""
        return self._autoencoder.latent_shape(resolution)

    @torch.no_grad()
    def condition(self, prompts: Sequence[str]) -> Condition:
        """``embeds`` [B, L, D]: the text encoder's last hidden state; longer prompts are cut, as the pipeline does."""
        encoder = self._pipeline.text_encoder
        words = tokens(self._pipeline.tokenizer, prompts).to(encoder.device)
        mask = words.attention_mask if getattr(encoder.config, "use_attention_mask", False) else None
        embeds: Tensor = encoder(words.input_ids, attention_mask=mask)[0]
        return {"embeds": embeds.float()}

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Prediction:
        """What the UNet says of ``x_t`` at ``t``; it computes in its own number format."""
        dtype = number_format(self.denoiser)
        alpha, sigma = (put(level, self.device) for level in self.schedule.levels(t))
        embeds = put(condition["embeds"], self.device, dtype)
        output = self.denoiser(put(x_t, self.device, dtype), put(t, self.device), encoder_hidden_states=embeds).sample
        return Prediction(output, x_t, alpha, sigma, self.head)

    def pipeline(self) -> StableDiffusionPipeline:
        """A new pipeline over the same parts: a scheduler that its user changes stays with its user."""
        parts: dict[str, Any] = self._pipeline.components | {self.part: self.denoiser}
        return StableDiffusionPipeline(**parts, requires_safety_checker=False)

    def pack(self, latents: Tensor) -> Tensor:
        """``latents`` as they are, which is how the pipeline takes them."""
        return latents
