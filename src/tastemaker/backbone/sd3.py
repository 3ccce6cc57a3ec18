"""Stable Diffusion 3 and 3.5 (Esser et al. 2024, arXiv:2403.03206) as a `Backbone`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from diffusers import StableDiffusion3Pipeline
from torch import Tensor
from torch.nn.functional import pad

from tastemaker.backbone.autoencoder import Autoencoder
from tastemaker.backbone.backbone import Condition
from tastemaker.backbone.flow import flow_process, t5_embeds, whole_patches
from tastemaker.backbone.loaded import Loaded
from tastemaker.backbone.parts import freeze, number_format, tokens
from tastemaker.base.errors import UserError
from tastemaker.base.placing import put
from tastemaker.process.prediction import Head, Prediction

if TYPE_CHECKING:
    from diffusers import SD3Transformer2DModel

T5_TOKENS = 256
"""Tokens that T5 reads of a prompt, the pipeline's default."""


class StableDiffusion3(Loaded):
    """A `StableDiffusion3Pipeline`'s parts, frozen. ``identify`` says the model's identity when it is asked for.

    T5, the largest of the three text encoders, may be missing; zeros stand for what it says, as in the pipeline. Raises
    `UserError` for an autoencoder or a scheduler that this architecture is not known to have.
    """

    part = "transformer"
    head: Head = "flow"

    def __init__(self, pipeline: StableDiffusion3Pipeline, identify: Callable[[], str]) -> None:
        self._pipeline, self._identify = pipeline, identify
        self.denoiser: SD3Transformer2DModel = pipeline.transformer
        self.schedule = flow_process(pipeline.scheduler)
        self._config = pipeline.transformer.config
        self._autoencoder = Autoencoder(pipeline.vae, self._config.patch_size)
        self.resolution: int = self._config.sample_size * self._autoencoder.factor
        freeze(pipeline)

    def latent_shape(self, resolution: int) -> tuple[int, int, int]:
        """(C, H, W) of the latent of a square image. Raises `UserError` for sides that the model cannot read."""
        shape = self._autoencoder.latent_shape(resolution)
        self._refuse_large(*shape[1:])
        return shape

    @torch.no_grad()
    def condition(self, prompts: Sequence[str]) -> Condition:
        """``embeds`` [B, 77 + 256, D]: both CLIPs side by side, filled up with zeros to T5's width D, then T5.

        ``pooled`` [B, D_1 + D_2] is the projection of either CLIP's end token. Longer prompts are cut.
        """
        parts = self._pipeline
        one, pooled_one = self._clip(parts.tokenizer, parts.text_encoder, prompts)
        two, pooled_two = self._clip(parts.tokenizer_2, parts.text_encoder_2, prompts)
        clip, t5 = torch.cat([one, two], dim=-1), self._t5(prompts)
        clip = pad(clip, (0, t5.shape[-1] - clip.shape[-1]))
        return {"embeds": torch.cat([clip, t5], dim=1), "pooled": torch.cat([pooled_one, pooled_two], dim=-1)}

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Prediction:
        """The velocity ε − x0 that the transformer reads from ``x_t``; it computes in its own number format.

        Raises `UserError` for latents whose sides are no multiple of the patch, or too long.
        """
        whole_patches(x_t, self._config.patch_size)
        self._refuse_large(*x_t.shape[2:])
        dtype = number_format(self.denoiser)
        alpha, sigma = (put(level, self.device) for level in self.schedule.levels(t))
        output = self.denoiser(
            hidden_states=put(x_t, self.device, dtype),
            timestep=sigma * self.schedule.steps,
            encoder_hidden_states=put(condition["embeds"], self.device, dtype),
            pooled_projections=put(condition["pooled"], self.device, dtype),
        ).sample
        return Prediction(output, x_t, alpha, sigma, self.head)

    def pipeline(self) -> StableDiffusion3Pipeline:
        """A new pipeline over the same parts: a scheduler that its user changes stays with its user."""
        parts: dict[str, Any] = self._pipeline.components | {self.part: self.denoiser}
        return StableDiffusion3Pipeline(**parts)

    def pack(self, latents: Tensor) -> Tensor:
        """``latents`` as they are, which is how the pipeline takes them."""
        return latents

    def _clip(self, tokenizer: Any, encoder: Any, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The last hidden state but one [B, 77, D] and the projected end token [B, D]."""
        ids = tokens(tokenizer, prompts, self._pipeline.tokenizer_max_length).input_ids.to(encoder.device)
        output = encoder(ids, output_hidden_states=True)
        return output.hidden_states[-2].float(), output.text_embeds.float()

    def _t5(self, prompts: Sequence[str]) -> Tensor:
        tokenizer, encoder = self._pipeline.tokenizer_3, self._pipeline.text_encoder_3
        if encoder is None:
            return torch.zeros(len(prompts), T5_TOKENS, self._config.joint_attention_dim, device=self.device)
        return t5_embeds(tokenizer, encoder, prompts, T5_TOKENS)

    def _refuse_large(self, height: int, width: int) -> None:
        """The position embeddings are a table of limited size."""
        most = self._config.pos_embed_max_size * self._config.patch_size
        if max(height, width) > most:
            limit = most * self._autoencoder.factor
            raise UserError(f"latents of {height}×{width}: this model has positions for sides up to {limit} pixels")
