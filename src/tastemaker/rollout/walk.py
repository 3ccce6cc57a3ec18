"""The walk from noise to an image as a decision process, and the policy that both samples it and scores it.

    state s_j = (prompt, t_j, x_j),   action x_{j+1} ~ π(· | s_j)      (D3PO, Yang et al. 2023, arXiv:2311.13231)

Legend: B rows; N steps; j step; x_0 is noise, x_N the image's latent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tastemaker.backbone.backbone import Backbone, Condition
from tastemaker.backbone.guidance import guided
from tastemaker.base.placing import put
from tastemaker.process.transition import Gaussian, transition
from tastemaker.rollout.grid import Grid

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, eq=False)
class Policy:
    """π: the model as it stands, on ``grid`` with guidance ``scale``; ``empty`` is the empty prompt, one row."""

    backbone: Backbone
    grid: Grid
    empty: Condition
    scale: float

    def __call__(self, x: Tensor, j: Tensor, condition: Condition) -> Gaussian:
        """π(· | s) of the rows ``x`` [B, C, H, W] at steps ``j`` [B] (on the CPU); gradients flow."""
        prediction = guided(self.backbone, x, self.grid.t[j], condition, self.empty, self.scale)
        return transition(prediction, *(put(level, self.backbone.device) for level in self.grid.ahead(j)))


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What is kept of walks: every latent once, and how likely each step was under the policy that drew it."""

    latents: Tensor
    """[B, N + 1, C, H, W] in the storage's number format, on the CPU."""
    log_prob: Tensor
    """[B, N] float32, mean over latent dimensions; 0 where the step is no action."""


@torch.no_grad()
def walk(
    policy: Policy, start: Tensor, condition: Condition, noise: Callable[[int], Tensor], dtype: torch.dtype
) -> Trajectories:
    """Walk from ``start`` [B, C, H, W] to the images; ``noise(j)`` [B, C, H, W] is drawn anew at step j.

    A latent is rounded to ``dtype`` before the next step starts from it and before it is scored, so that whoever reads
    it from storage asks for the density of what really happened.
    """
    x = put(start, policy.backbone.device, dtype)
    latents, log_probs = [x], []
    for number in range(policy.grid.steps):
        j = torch.full((len(x),), number)
        step = policy(x.float(), j, condition)
        x = step.sample(put(noise(number), x.device)).to(dtype)
        acted = bool(policy.grid.std[number] > 0)
        log_probs.append(step.log_prob(x) if acted else torch.zeros(len(x), device=x.device))
        latents.append(x)
    return Trajectories(torch.stack(latents, 1).cpu(), torch.stack(log_probs, 1).cpu())
