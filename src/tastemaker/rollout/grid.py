"""The levels that a walk from noise to an image visits: the model's own sampler says where, η how much is drawn anew.

Legend: N steps; t_0 > t_1 > …; step j goes from level j to level j + 1; a step with std 0 is no action.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tastemaker.backbone.backbone import Backbone
from tastemaker.base.errors import UserError
from tastemaker.evaluate.sampling import deterministic
from tastemaker.process.transition import split_noise


@dataclass(frozen=True, eq=False)
class Grid:
    """``t`` [N] int64 and, for the end of each step, α_u and `transition.split_noise` [N] in float64; on the CPU."""

    t: Tensor
    alpha: Tensor
    kept: Tensor
    std: Tensor

    @property
    def steps(self) -> int:
        """N."""
        return len(self.t)

    @property
    def actions(self) -> Tensor:
        """The steps that have a density, [A] int64."""
        return self.std.nonzero().flatten()

    def ahead(self, j: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `transition` wants of steps ``j`` [B], [B] each in float32 on the CPU."""
        return self.alpha[j].float(), self.kept[j].float(), self.std[j].float()


def make_grid(backbone: Backbone, steps: int, eta: float, size: tuple[int, int]) -> Grid:
    """``steps`` steps of the model's own spacing for latents of ``size`` (height, width), as diffusers spaces them.

    A diffusion model ends where its scheduler does (ᾱ_0 with ``set_alpha_to_one: false``, else no noise at all), a flow
    without noise. Raises `UserError` for more steps than the noise process has.
    """
    if steps > (most := backbone.schedule.steps):
        raise UserError(f"rollout.steps: {steps}: this model's noise process has {most}; give at most that")
    scheduler: Any = deterministic(backbone)
    t = _flow_steps(backbone, scheduler, steps, size) if backbone.head == "flow" else _steps(scheduler, steps)
    end = torch.ones((), dtype=torch.float64) if backbone.head == "flow" else scheduler.final_alpha_cumprod.double()
    alpha, sigma = backbone.schedule.exact(t)
    last = (end.sqrt(), (1 - end).sqrt())
    alpha, sigma = (torch.cat([level, final.view(1)]) for level, final in zip((alpha, sigma), last, strict=True))
    return Grid(t, alpha[1:], *split_noise(alpha[:-1], sigma[:-1], alpha[1:], sigma[1:], eta))


def _steps(scheduler: Any, steps: int) -> Tensor:
    scheduler.set_timesteps(steps)
    t: Tensor = scheduler.timesteps.cpu().long()
    return t


def _flow_steps(backbone: Backbone, scheduler: Any, steps: int, size: tuple[int, int]) -> Tensor:
    """The training steps nearest to the sampler's noise shares, which may depend on the image's size (Flux)."""
    shift = {"mu": _shift(backbone.pipeline(), size)} if scheduler.config.use_dynamic_shifting else {}
    scheduler.set_timesteps(steps, **shift)
    shares = scheduler.sigmas[:-1].cpu().double()
    t = torch.searchsorted(backbone.schedule.sigma, shares).clamp(1, backbone.schedule.steps - 1)
    before = shares - backbone.schedule.sigma[t - 1] < backbone.schedule.sigma[t] - shares
    return t - before.long()


def _shift(pipeline: Any, size: tuple[int, int]) -> float:
    """μ of the sampler's shift: linear in the number of tokens (Esser et al. 2024, arXiv:2403.03206, section 5.3.2)."""
    config, tokens = pipeline.scheduler.config, size[0] * size[1] / 4
    share = (tokens - config.base_image_seq_len) / (config.max_image_seq_len - config.base_image_seq_len)
    return float(config.base_shift + share * (config.max_shift - config.base_shift))
