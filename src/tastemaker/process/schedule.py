"""The noise schedule of a diffusion model: how much signal and how much noise each of its T steps holds.

    x_t = α_t x0 + σ_t ε

    variance preserving   α_t = √ᾱ_t,    σ_t = √(1 − ᾱ_t)      (Ho et al. 2020, arXiv:2006.11239, eq. 4)
    rectified flow        α_t = 1 − s_t, σ_t = s_t             (Esser et al. 2024, arXiv:2403.03206, eq. 4)

Legend: ``t`` [B] step, 0 = nearly clean; ``x0`` [B, C, H, W] clean latent; ``eps`` its noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tastemaker.base.errors import UserError
from tastemaker.base.placing import put

if TYPE_CHECKING:
    from diffusers import SchedulerMixin


@dataclass(frozen=True, eq=False)
class Schedule:
    """Signal level ``alpha`` and noise level ``sigma`` [T], float64 on the CPU, one entry a step."""

    alpha: Tensor
    sigma: Tensor

    @property
    def steps(self) -> int:
        """T."""
        return len(self.alpha)

    def levels(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Signal and noise level (α_t, σ_t) [B] in float32, on the CPU when ``t`` is, so that no device waits."""
        alpha, sigma = self.exact(t)
        return alpha.float().to(t.device), sigma.float().to(t.device)

    def exact(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(α_t, σ_t) [B] in float64 on the CPU, for arithmetic on the levels themselves."""
        index = t.to(self.alpha.device)
        return self.alpha[index], self.sigma[index]

    def noised(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """x_t = α_t x0 + σ_t ε, of the shape and on the device of ``x0``."""
        alpha, sigma = (put(level, x0.device).view(-1, *[1] * (x0.ndim - 1)) for level in self.levels(t))
        return alpha * x0 + sigma * eps

    def snr(self, t: Tensor) -> Tensor:
        """Signal-to-noise ratio (α_t / σ_t)² [B] in float64 on the CPU; 0 at a zero terminal signal."""
        alpha, sigma = self.exact(t)
        return (alpha / sigma).square()


def variance_preserving(alpha_bar: Tensor) -> Schedule:
    """The schedule of cumulative signal powers ᾱ [T]."""
    power = alpha_bar.detach().cpu().double()
    return Schedule(power.sqrt(), (1 - power).sqrt())


def rectified_flow(s: Tensor) -> Schedule:
    """The schedule of noise shares s [T] in (0, 1], rising."""
    share = s.detach().cpu().double()
    return Schedule(1 - share, share)


def from_scheduler(scheduler: SchedulerMixin) -> Schedule:
    """The schedule that a diffusers scheduler was configured with.

    A rescaled zero terminal signal and the constant shift of a flow-matching scheduler are included; a shift that
    depends on the image's size (Flux) belongs to sampling alone, and training sees s = 1/T … 1. Raises `UserError` for
    a scheduler that is neither.
    """
    alpha_bar = getattr(scheduler, "alphas_cumprod", None)
    if alpha_bar is not None:
        return variance_preserving(alpha_bar)
    if type(scheduler).__name__ != "FlowMatchEulerDiscreteScheduler":
        raise UserError(
            f"{type(scheduler).__name__}: no noise schedule is known of it; save the model with DDIMScheduler, or with "
            "FlowMatchEulerDiscreteScheduler when it was trained by flow matching"
        )
    config = scheduler.config
    s = torch.arange(1, config.num_train_timesteps + 1, dtype=torch.float64) / config.num_train_timesteps
    shift = 1.0 if config.use_dynamic_shifting else config.shift
    return rectified_flow(shift * s / (1 + (shift - 1) * s))
