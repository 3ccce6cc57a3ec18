"""The reverse step of a noise process as a Gaussian: what the sampler draws from is what the re-scorer asks.

    x_u ~ N(α_u x̂0 + √(σ_u² − std²) ε̂, std² I),   std = η σ_u √(1 − (α_t σ_u / (α_u σ_t))²)

For variance-preserving processes that is DDIM (Song et al. 2020, arXiv:2010.02502, eq. 12 and 16), for η = 1 DDPM's
posterior; on a rectified flow it is a stochastic step with the same marginals. η = 0 is the deterministic step.

Legend: ``t`` where a step begins, ``u`` the less noisy level where it ends; η share of the noise that is drawn anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from tastemaker.process.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(mean, std² I): ``mean`` [B, C, H, W] and ``std`` [B], float32; a row with std 0 is a point mass."""

    mean: Tensor
    std: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """mean + std · ``noise`` [B, C, H, W]."""
        return self.mean + self._std_of_rows() * noise

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of ``x`` [B], its *mean* over the latent dimensions, in float32; not finite for a point mass."""
        z = (x.float() - self.mean) / self._std_of_rows()
        return -z.square().flatten(1).mean(1) / 2 - self.std.log() - math.log(2 * math.pi) / 2

    def _std_of_rows(self) -> Tensor:
        return self.std.view(-1, *[1] * (self.mean.ndim - 1))


def split_noise(
    alpha_t: Tensor, sigma_t: Tensor, alpha_u: Tensor, sigma_u: Tensor, eta: float
) -> tuple[Tensor, Tensor]:
    """(√(σ_u² − std²), std) of the step from (α_t, σ_t) to (α_u, σ_u), each of the levels' shape.

    The noise that is kept, and the noise that is drawn anew. Give float64: with η = 1 little may be kept, as the
    difference of two numbers that are nearly equal.
    """
    kept = alpha_t * sigma_u / (alpha_u * sigma_t)
    anew = eta * (1 - kept.square()).clamp(min=0).sqrt()
    return sigma_u * (1 - anew.square()).clamp(min=0).sqrt(), sigma_u * anew


def transition(prediction: Prediction, alpha_u: Tensor, kept: Tensor, std: Tensor) -> Gaussian:
    """The step from what a network predicts at t to the level α_u, with what `split_noise` says; [B] each."""
    rows = (-1, *[1] * (prediction.x_t.ndim - 1))
    mean = alpha_u.view(rows) * prediction.x0 + kept.view(rows) * prediction.eps
    return Gaussian(mean, std)
