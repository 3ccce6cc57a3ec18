"""The noise schedule of a diffusion model.

    x_t = α_t x0 + σ_t ε,   α_t = √ᾱ_t,   σ_t = √(1 − ᾱ_t)          (Ho et al. 2020, arXiv:2006.11239, eq. 4)

Legend: ``t`` [B] step, 0 = nearly clean; ``x0`` [B, C, H, W] clean latent; ``eps`` its noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from diffusers import SchedulerMixin


@dataclass(frozen=True, eq=False)
class Schedule:
    """Cumulative signal power ``alpha_bar`` [T], float64 on the CPU, one entry a step."""

    alpha_bar: Tensor

    @property
    def steps(self) -> int:
        """T."""
        return len(self.alpha_bar)

    def levels(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Signal and noise level (α_t, σ_t) [B] in float32, on the CPU when ``t`` is, so that no device waits."""
        alpha_bar = self._at(t)
        return alpha_bar.sqrt().float().to(t.device), (1 - alpha_bar).sqrt().float().to(t.device)

    def noised(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """x_t = α_t x0 + σ_t ε, of the shape and on the device of ``x0``."""
        alpha, sigma = (level.to(x0.device).view(-1, *[1] * (x0.ndim - 1)) for level in self.levels(t))
        return alpha * x0 + sigma * eps

    def snr(self, t: Tensor) -> Tensor:
        """Signal-to-noise ratio ᾱ_t / (1 − ᾱ_t) [B] in float32; 0 at a zero terminal signal."""
        alpha_bar = self._at(t)
        return (alpha_bar / (1 - alpha_bar)).float().to(t.device)

    def _at(self, t: Tensor) -> Tensor:
        return self.alpha_bar[t.to(self.alpha_bar.device)]


def from_scheduler(scheduler: SchedulerMixin) -> Schedule:
    """The schedule that a diffusers scheduler was configured with, a rescaled zero terminal signal included.

    Raises `UserError` for a scheduler without ``alphas_cumprod`` (flow matching).
    """
    alpha_bar = getattr(scheduler, "alphas_cumprod", None)
    if alpha_bar is None:
        raise UserError(f"{type(scheduler).__name__}: no noise schedule (alphas_cumprod); use a Stable Diffusion model")
    return Schedule(alpha_bar.detach().cpu().double())
