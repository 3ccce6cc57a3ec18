"""Stable Diffusion XL's base model (Podell et al. 2023, arXiv:2307.01952) as a `Backbone`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor

from tastemaker.backbone.autoencoder import Autoencoder
from tastemaker.backbone.backbone import Condition
from tastemaker.backbone.loaded import Loaded
from tastemaker.backbone.parts import freeze, noise_process, number_format, tokens
from tastemaker.base.errors import UserError
from tastemaker.base.placing import put
from tastemaker.process.prediction import Prediction

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

EMBEDS_LAYER = -2
"""Hidden state of the text encoders that the UNet reads: the penultimate one (section 2.1)."""


class StableDiffusionXL(Loaded):
    """A `StableDiffusionXLPipeline`'s parts, frozen. ``identify`` says the model's identity when it is asked for.

    Raises `UserError` for a noise process or an autoencoder that this architecture is not known to have, and for the
    refiner, which has one text encoder and is trained on the last steps of another model's images.
    """

    part = "unet"

    def __init__(self, pipeline: StableDiffusionXLPipeline, identify: Callable[[], str]) -> None:
        if pipeline.text_encoder is None or pipeline.text_encoder_2 is None:
            raise UserError(
                "model_index.json: a text encoder is missing, as in SDXL's refiner, which only redraws the base "
                "model's images; use the base model"
            )
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
        """``embeds`` [B, L, D₁ + D₂] of both text encoders and ``pooled`` [B, D] of the second.

        The empty prompt, which is also what a dropped caption becomes, is all zeros when the model says
        ``force_zeros_for_empty_prompt``, as the published one does: SDXL was trained with the dropped captions'
        embeddings multiplied by zero (Stability-AI/generative-models, ``ucg_rate``), and the pipeline's guidance starts
        from zeros. A pipeline that is *given* the prompt "" encodes it as text instead, which training never saw.
        """
        embeds, pooled = self._encode_text(prompts)
        if self._pipeline.config.force_zeros_for_empty_prompt:
            empty = torch.tensor([prompt == "" for prompt in prompts], device=embeds.device)
            embeds, pooled = embeds.masked_fill(empty[:, None, None], 0), pooled.masked_fill(empty[:, None], 0)
        return {"embeds": embeds, "pooled": pooled}

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Prediction:
        """What the UNet says of ``x_t`` at ``t``; it computes in its own number format.

        A condition without ``time_ids`` is of a whole image that was never resized, which is the pipeline's default.
        """
        dtype = number_format(self.denoiser)
        alpha, sigma = (put(level, self.device) for level in self.schedule.levels(t))
        time_ids = condition["time_ids"] if "time_ids" in condition else self._whole(x_t)
        output = self.denoiser(
            put(x_t, self.device, dtype),
            put(t, self.device),
            encoder_hidden_states=put(condition["embeds"], self.device, dtype),
            added_cond_kwargs={
                "text_embeds": put(condition["pooled"], self.device, dtype),
                "time_ids": put(time_ids, self.device),
            },
        ).sample
        return Prediction(output, x_t, alpha, sigma, self.head)

    def pipeline(self) -> StableDiffusionXLPipeline:
        """A new pipeline over the same parts: a scheduler that its user changes stays with its user.

        Its images carry no watermark, whether or not the library that would add one is installed.
        """
        parts: dict[str, Any] = self._pipeline.components | {self.part: self.denoiser}
        zeros: bool = self._pipeline.config.force_zeros_for_empty_prompt
        return StableDiffusionXLPipeline(**parts, force_zeros_for_empty_prompt=zeros, add_watermarker=False)

    def pack(self, latents: Tensor) -> Tensor:
        """``latents`` as they are, which is how the pipeline takes them."""
        return latents

    def _encode_text(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        parts = self._pipeline
        first = parts.text_encoder(
            tokens(parts.tokenizer, prompts).input_ids.to(parts.text_encoder.device), output_hidden_states=True
        )
        second = parts.text_encoder_2(
            tokens(parts.tokenizer_2, prompts).input_ids.to(parts.text_encoder_2.device), output_hidden_states=True
        )
        hidden = [encoded.hidden_states[EMBEDS_LAYER].float() for encoded in (first, second)]
        return torch.cat(hidden, dim=-1), second.text_embeds.float()

    def _whole(self, x_t: Tensor) -> Tensor:
        """``time_ids`` [B, 6] of whole images of the size of ``x_t``."""
        height, width = (side * self._autoencoder.factor for side in x_t.shape[-2:])
        return torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32).expand(len(x_t), 6)
