"""Fresh images of the model in training: which prompts a round has, what is drawn, and how it is kept.

Every draw is keyed: the initial noise, which a prompt's images share, by (seed, position), a step's noise by (seed,
position, sample, step). The position counts the prompts of all rounds, so it is a prompt's visit.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tastemaker.backbone.backbone import Backbone, Condition
from tastemaker.base import draw
from tastemaker.rollout.config import Rollout
from tastemaker.rollout.grid import make_grid
from tastemaker.rollout.walk import DTYPES, Policy, Trajectories, walk


def prompts_at(prompts: Sequence[str], seed: int, first: int, count: int) -> list[str]:
    """The prompts at positions ``first`` … of an endless reading, which shuffles the list anew for each epoch."""
    orders: dict[int, list[str]] = {}

    def order(epoch: int) -> list[str]:
        if epoch not in orders:
            orders[epoch] = sorted(prompts, key=lambda prompt: draw.key_bits("round order", seed, epoch, prompt))
        return orders[epoch]

    return [order(at // len(prompts))[at % len(prompts)] for at in range(first, first + count)]


@dataclass(frozen=True, eq=False)
class Sampler:
    """A model's policy with all that its walks depend on but prompt and position."""

    policy: Policy
    settings: Rollout
    shape: tuple[int, int, int]
    """(C, H, W) of a latent."""
    seed: int

    def conditions(self, prompts: Sequence[str]) -> Condition:
        """What the denoiser reads of ``prompts``, one row each, on the CPU; encoded a batch of the walk at a time."""
        size, backbone = self.settings.prompts_at_once, self.policy.backbone
        parts = [backbone.condition(prompts[at : at + size]) for at in range(0, len(prompts), size)]
        found = {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}
        return found | {"time_ids": _time_ids(backbone, self.shape).expand(len(prompts), -1)}

    def how(self, positions: Sequence[int]) -> dict[str, Any]:
        """What the walks at ``positions`` depend on besides the weights: seeds, settings and levels."""
        grid, settings = self.policy.grid, self.settings
        told = {"seed": self.seed, "positions": list(positions), "images": settings.images}
        told |= {"guidance": self.policy.scale, "eta": settings.eta, "t": grid.t.tolist()}
        return told | {"alpha": grid.alpha.tolist(), "std": grid.std.tolist()}

    def draw(self, positions: Sequence[int], conditions: Condition) -> tuple[Trajectories, list[bytes]]:
        """Walks and PNGs of K images for each of the prompts at ``positions``, whose ``conditions`` have a row each."""
        samples = self.settings.images
        places = [(position, sample) for position in positions for sample in range(samples)]
        starts = torch.stack([draw.normal(self.shape, self.seed, "walk", position) for position, _ in places])
        rows = {name: values.repeat_interleave(samples, 0) for name, values in conditions.items()}

        def noise(j: int) -> Tensor:
            return torch.stack([draw.normal(self.shape, self.seed, "walk step", *place, j) for place in places])

        walked = walk(self.policy, starts, rows, noise, DTYPES[self.settings.dtype])
        return walked, pngs(self.policy.backbone, walked.latents[:, -1])


def make_sampler(backbone: Backbone, settings: Rollout, seed: int) -> Sampler:
    """The sampler of ``settings``. Raises `UserError` for steps or a resolution that the model cannot have."""
    shape = backbone.latent_shape(settings.resolution or backbone.resolution)
    grid = make_grid(backbone, settings.steps, settings.eta, shape[1:])
    empty = backbone.condition([""])
    return Sampler(Policy(backbone, grid, empty, settings.guidance), settings, shape, seed)


@torch.no_grad()
def pngs(backbone: Backbone, latents: Tensor) -> list[bytes]:
    """The images of ``latents`` [B, C, H, W], encoded."""
    from PIL import Image

    pixels = backbone.decode(latents.to(backbone.device).float()).cpu()
    values = ((pixels + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    encoded = []
    for value in values:
        buffer = io.BytesIO()
        Image.fromarray(value).save(buffer, format="png")
        encoded.append(buffer.getvalue())
    return encoded


def _time_ids(backbone: Backbone, shape: tuple[int, int, int]) -> Tensor:
    """What SDXL is told of an uncropped image of this size: [1, 6]."""
    square = backbone.latent_shape(backbone.resolution)[1]
    side = float(shape[1] * backbone.resolution // square)
    return torch.tensor([[side, side, 0.0, 0.0, side, side]])
