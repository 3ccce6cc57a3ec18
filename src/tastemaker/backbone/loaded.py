"""What the adapters of all model families say in the same words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from tastemaker.backbone.autoencoder import Autoencoder
from tastemaker.backbone.backbone import Moments


class Loaded:
    """A loaded model's identity, place and autoencoder. A family sets these three, and redefines nothing of this."""

    distilled: bool = False
    denoiser: nn.Module
    _autoencoder: Autoencoder
    _identify: Callable[[], str]

    @cached_property
    def key(self) -> str:
        """Identity of the model as it was loaded."""
        return self._identify()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.denoiser.parameters()).device

    @property
    def scaling_factor(self) -> float:
        """What the autoencoder's latents, less their shift, are multiplied with for the denoiser."""
        return self._autoencoder.scale

    def encode(self, pixels: Tensor) -> Moments:
        """Moments of the latents of ``pixels`` [B, 3, H, W]."""
        return self._autoencoder.encode(pixels)

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] of ``latents``, cut to [−1, 1]."""
        return self._autoencoder.decode(latents)
