"""The autoencoder of a latent diffusion model (Rombach et al. 2022, arXiv:2112.10752).

    latent = (z − shift) · scale,   z ~ N(mean, std²) of the encoder

Legend: pixels [B, 3, H, W] in [−1, 1]; latents [B, C, H / f, W / f]; f the side of the pixels of one latent.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn

from tastemaker.backbone.backbone import Moments
from tastemaker.base.errors import UserError


class Autoencoder:
    """Pixels to latents as the denoiser sees them, and back; it computes in its own number format.

    ``patch`` is the side of the denoiser's patches in latents, which the sides of a latent must be multiples of.
    Raises `UserError` for a class, or a normalisation a channel, that no supported model has.
    """

    def __init__(self, vae: nn.Module, patch: int = 1) -> None:
        if not isinstance(vae, AutoencoderKL | AutoencoderTiny):
            raise UserError(f"{type(vae).__name__}: unknown autoencoder; use AutoencoderKL or AutoencoderTiny")
        if getattr(vae.config, "latents_mean", None) is not None:
            raise UserError("vae/config.json: latents_mean is not supported; use a model with a scaling_factor alone")
        self._vae, self._patch = vae, patch
        self.channels: int = vae.config.latent_channels
        self.factor: int = 2 ** (len(vae.config.block_out_channels) - 1)
        """Side in pixels of one latent."""
        self.scale = float(vae.config.scaling_factor)
        self.shift = float(getattr(vae.config, "shift_factor", None) or 0.0)

    def latent_shape(self, resolution: int) -> tuple[int, int, int]:
        """(C, H, W) of the latent of a square image. Raises `UserError` when the sides do not divide evenly."""
        side = self.factor * self._patch
        if resolution < 1 or resolution % side:
            raise UserError(f"resolution {resolution}: not a multiple of {side}, as this model needs")
        return self.channels, resolution // self.factor, resolution // self.factor

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Moments:
        """Moments of the latents of ``pixels``, in float32; `AutoencoderTiny` is deterministic, so its std is 0."""
        encoded = self._vae.encode(pixels.to(self._vae.device, self._vae.dtype))
        if isinstance(self._vae, AutoencoderTiny):
            mean = encoded.latents.float()
            return Moments((mean - self.shift) * self.scale, torch.zeros_like(mean))
        posterior = encoded.latent_dist
        return Moments((posterior.mean.float() - self.shift) * self.scale, posterior.std.float() * self.scale)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pixels of ``latents`` in float32, cut to [−1, 1]."""
        z = latents / self.scale + self.shift
        pixels: Tensor = self._vae.decode(z.to(self._vae.device, self._vae.dtype)).sample
        return pixels.float().clamp(-1, 1)
