"""Which denoising steps decide what an image shows, and which have the gradient, in the small world.

    .venv/bin/python benchmarks/d3po_steps.py

Prints, for steps of a walk of 20: the mean variance of the utility among images that share everything up to that step
(what is left to be decided), and the norm of the gradient of Σ A log π with respect to the adapter at its first values,
for either half of the prompts, with their cosine (A: a utility's deviation from its prompt's mean).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tastemaker.backbone.adapter import Trainable, attach
from tastemaker.backbone.choice import Lora
from tastemaker.backbone.load import load
from tastemaker.evaluate.images import open_png
from tastemaker.rollout.config import Rollout
from tastemaker.rollout.sampling import Sampler, make_sampler, pngs
from tastemaker.world import captions
from tastemaker.world.assets import BASE_MODEL
from tastemaker.world.scorer import Utility

SETTINGS = Rollout(prompts="-", images=7, guidance=1.0, prompts_at_once=16)
BRANCHES, BRANCHED, LEARNED = 6, 40, 64
"""Images that go on from one step, prompts of that, and prompts of the gradient."""


def utilities(sampler: Sampler, latents: Tensor, prompts: list[str]) -> np.ndarray:
    """Of the images of ``latents``, one prompt each."""
    return Utility().score(prompts, [open_png(png) for png in pngs(sampler.policy.backbone, latents)])


@torch.no_grad()
def undecided(sampler: Sampler, prompts: list[str], random: torch.Generator) -> dict[int, float]:
    """t → E var(u | x_t)."""
    condition, x, found = sampler.conditions(prompts), torch.randn(len(prompts), *sampler.shape, generator=random), {}
    for j in range(sampler.policy.grid.steps):
        if j % 2 == 0:
            found[int(sampler.policy.grid.t[j])] = _branch(sampler, x, j, prompts, random)
        step = sampler.policy(x, torch.full((len(x),), j), condition)
        x = step.sample(torch.randn(x.shape, generator=random))
    return found


def _branch(sampler: Sampler, x: Tensor, first: int, prompts: list[str], random: torch.Generator) -> float:
    texts = [prompt for prompt in prompts for _ in range(BRANCHES)]
    x, condition = x.repeat_interleave(BRANCHES, 0), sampler.conditions(texts)
    for j in range(first, sampler.policy.grid.steps):
        x = sampler.policy(x, torch.full((len(x),), j), condition).sample(torch.randn(x.shape, generator=random))
    return float(utilities(sampler, x, texts).reshape(len(prompts), BRANCHES).var(1, ddof=1).mean())


def gradients(sampler: Sampler, trainable: Trainable, prompts: list[str], first: int) -> dict[int, Tensor]:
    """t → gradient of Σ A log π over the images of ``prompts``, which stand at positions ``first`` …."""
    conditions, samples = sampler.conditions(prompts), SETTINGS.images
    walked, drawn = sampler.draw(range(first, first + len(prompts)), conditions)
    texts = [prompt for prompt in prompts for _ in range(samples)]
    u = Utility().score(texts, [open_png(png) for png in drawn]).reshape(len(prompts), samples)
    advantage = torch.from_numpy(u - u.mean(1, keepdims=True)).flatten()
    rows = {name: values.repeat_interleave(samples, 0) for name, values in conditions.items()}
    weights = [parameter for name, parameter in trainable.parameters.items() if "lora_B" in name]
    found = {}
    for j in range(sampler.policy.grid.steps):
        step = sampler.policy(walked.latents[:, j], torch.full((len(texts),), j), rows)
        total = (advantage * step.log_prob(walked.latents[:, j + 1])).sum()
        found[int(sampler.policy.grid.t[j])] = torch.cat([g.flatten() for g in torch.autograd.grad(total, weights)])
    return found


def main() -> None:
    """Measure and print."""
    backbone = load(BASE_MODEL)
    sampler = make_sampler(backbone, SETTINGS, seed=0)
    texts = [captions.caption(scene) for scene in captions.draw("train", LEARNED, 0)]
    for t, left in undecided(sampler, texts[:BRANCHED], torch.Generator().manual_seed(0)).items():
        print(f"t {t:4d}   E var(u | x_t) {left:.5f}")
    trainable = attach(backbone, Lora(rank=16), 0)
    halves = [dict[int, Tensor](), dict[int, Tensor]()]
    for at in range(0, LEARNED, 8):
        for t, gradient in gradients(sampler, trainable, texts[at : at + 8], at).items():
            half = halves[at >= LEARNED // 2]
            half[t] = half.get(t, torch.zeros_like(gradient)) + gradient
    for t, one in halves[0].items():
        two = halves[1][t]
        cosine = float(torch.cosine_similarity(one, two, dim=0))
        print(f"t {t:4d}   norm {float(one.norm()):8.4f} {float(two.norm()):8.4f}   cosine {cosine:+.3f}")


if __name__ == "__main__":
    main()
