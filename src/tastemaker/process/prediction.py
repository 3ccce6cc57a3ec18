"""What a network predicts of a noised latent, as one table.

    p = a x0 + b ε,   x_t = α x0 + σ ε,   det = aσ − bα
    x0 = (σ p − b x_t) / det,   ε = (a x_t − α p) / det

Legend: ``output`` p [B, C, H, W]; ``x_t`` noised latent; ``alpha``, ``sigma`` [B]; ``e`` [B] error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Head = Literal["eps", "x0", "v", "flow"]

HEADS: dict[Head, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "eps": lambda alpha, sigma: (torch.zeros_like(alpha), torch.ones_like(sigma)),
    "x0": lambda alpha, sigma: (torch.ones_like(alpha), torch.zeros_like(sigma)),
    "v": lambda alpha, sigma: (-sigma, alpha),
    "flow": lambda alpha, sigma: (-torch.ones_like(alpha), torch.ones_like(sigma)),
}
"""(α, σ) → (a, b) of each prediction head."""


def x0_factor(head: Head, alpha: Tensor, sigma: Tensor) -> Tensor:
    """(σ / det)²: the error of the predicted x0 is the native error times this, whatever the head.

    ε → (σ/α)², infinite at zero signal; v → σ²; flow → σ²; x0 → 1. Same shape and number format as ``alpha``.
    """
    a, b = HEADS[head](alpha, sigma)
    return (sigma / (a * sigma - b * alpha)).square()


def eps_factor(head: Head, alpha: Tensor, sigma: Tensor) -> Tensor:
    """(α / det)²: the error of the predicted ε is the native error times this, whatever the head.

    ε → 1; v → α²; flow → (1 − s)²; x0 → (α/σ)². Same shape and number format as ``alpha``.
    """
    a, b = HEADS[head](alpha, sigma)
    return (alpha / (a * sigma - b * alpha)).square()


@dataclass(frozen=True, eq=False)
class Prediction:
    """The output of one forward pass with all that is needed to read it."""

    output: Tensor
    x_t: Tensor
    alpha: Tensor
    sigma: Tensor
    head: Head

    @property
    def x0(self) -> Tensor:
        """The predicted clean latent in float32; infinite where α = 0 and the head is ε."""
        a, b, alpha, sigma = self._coefficients()
        return (sigma * self.output.float() - b * self.x_t.float()) / (a * sigma - b * alpha)

    @property
    def eps(self) -> Tensor:
        """The predicted noise in float32; infinite where σ = 0 and the head is x0."""
        a, b, alpha, sigma = self._coefficients()
        return (a * self.x_t.float() - alpha * self.output.float()) / (a * sigma - b * alpha)

    def error(self, x0: Tensor, eps: Tensor) -> Tensor:
        """Native error e [B] = mean over latent dimensions of (p − (a x0 + b ε))², in float32.

        It is measured on what the head predicts, so nothing is divided and a zero terminal signal is harmless.
        """
        a, b, _, _ = self._coefficients()
        target = a * x0.float() + b * eps.float()
        return (self.output.float() - target).square().flatten(1).mean(1)

    def _coefficients(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(a, b, α, σ), each broadcast over the latent dimensions."""
        rows = (-1, *[1] * (self.x_t.ndim - 1))
        a, b = HEADS[self.head](self.alpha, self.sigma)
        return a.view(rows), b.view(rows), self.alpha.view(rows), self.sigma.view(rows)
