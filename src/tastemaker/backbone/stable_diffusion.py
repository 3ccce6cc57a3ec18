"""Stable Diffusion 1.x and 2.x (Rombach et al. 2022, arXiv:2112.10752) as a `Backbone`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, StableDiffusionPipeline
from torch import Tensor

from tastemaker.backbone.backbone import Condition, Moments
from tastemaker.base.errors import UserError
from tastemaker.process.prediction import Head, Prediction
from tastemaker.process.schedule import from_scheduler

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

HEAD_OF: dict[str, Head] = {"epsilon": "eps", "v_prediction": "v"}
"""The scheduler's ``prediction_type`` → the head."""


class StableDiffusion:
    """A `StableDiffusionPipeline`'s parts, frozen. ``identify`` says the model's identity when it is asked for.

    Raises `UserError` for a prediction type or an autoencoder that this architecture is not known to have.
    """

    def __init__(self, pipeline: StableDiffusionPipeline, identify: Callable[[], str]) -> None:
        self._pipeline, self._identify = pipeline, identify
        self.denoiser: UNet2DConditionModel = pipeline.unet
        self.schedule = from_scheduler(pipeline.scheduler)
        self.head = _head(pipeline.scheduler.config.prediction_type)
        self.resolution: int = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
        if not isinstance(pipeline.vae, AutoencoderKL | AutoencoderTiny):
            raise UserError(f"{type(pipeline.vae).__name__}: unknown autoencoder; use AutoencoderKL or AutoencoderTiny")
        for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
            part.requires_grad_(False).eval()

    @cached_property
    def key(self) -> str:
        """Identity of the model as it was loaded."""
        return self._identify()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.denoiser.device

    @property
    def scaling_factor(self) -> float:
        """What the autoencoder's latents are multiplied with for the denoiser."""
        return float(self._pipeline.vae.config.scaling_factor)

    def latent_shape(self, resolution: int) -> tuple[int, int, int]:
        """(C, H, W) of the latent of a square image. Raises `UserError` when the sides do not divide evenly."""
        factor: int = self._pipeline.vae_scale_factor
        if resolution < 1 or resolution % factor:
            raise UserError(f"resolution {resolution}: not a multiple of {factor}, as this model's autoencoder needs")
        return self.denoiser.config.in_channels, resolution // factor, resolution // factor

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Moments:
        """Moments of the latents of ``pixels`` [B, 3, H, W]; `AutoencoderTiny` is deterministic, so its std is 0."""
        vae = self._pipeline.vae
        encoded = vae.encode(pixels.to(vae.device, vae.dtype))
        if isinstance(vae, AutoencoderTiny):
            mean = encoded.latents.float()
            return Moments(mean * self.scaling_factor, torch.zeros_like(mean))
        posterior = encoded.latent_dist
        return Moments(posterior.mean.float() * self.scaling_factor, posterior.std.float() * self.scaling_factor)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] of ``latents``, cut to [−1, 1]."""
        vae = self._pipeline.vae
        pixels: Tensor = vae.decode((latents / self.scaling_factor).to(vae.device, vae.dtype)).sample
        return pixels.float().clamp(-1, 1)

    @torch.no_grad()
    def condition(self, prompts: Sequence[str]) -> Condition:
        """``embeds`` [B, L, D]: the text encoder's last hidden state; longer prompts are cut, as the pipeline does."""
        tokenizer, encoder = self._pipeline.tokenizer, self._pipeline.text_encoder
        tokens = tokenizer(
            list(prompts),
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).to(encoder.device)
        mask = tokens.attention_mask if getattr(encoder.config, "use_attention_mask", False) else None
        embeds: Tensor = encoder(tokens.input_ids, attention_mask=mask)[0]
        return {"embeds": embeds.float()}

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Prediction:
        """What the UNet says of ``x_t`` at ``t``; it computes in its own number format."""
        dtype = self.denoiser.conv_in.weight.dtype
        alpha, sigma = (level.to(self.device) for level in self.schedule.levels(t))
        embeds = condition["embeds"].to(self.device, dtype)
        output = self.denoiser(x_t.to(self.device, dtype), t.to(self.device), encoder_hidden_states=embeds).sample
        return Prediction(output, x_t, alpha, sigma, self.head)

    def pipeline(self) -> StableDiffusionPipeline:
        """A new pipeline over the same parts: a scheduler that its user changes stays with its user."""
        parts: dict[str, Any] = self._pipeline.components | {"unet": self.denoiser}
        return StableDiffusionPipeline(**parts, requires_safety_checker=False)


def _head(prediction_type: str) -> Head:
    if prediction_type not in HEAD_OF:
        known = " or ".join(HEAD_OF)
        raise UserError(f"scheduler: prediction_type {prediction_type!r} is not supported; use a model of {known}")
    return HEAD_OF[prediction_type]
