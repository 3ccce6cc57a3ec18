"""Training the world scorer: a small CLIP on true renders and their right captions, and on nothing else.

The loss is CLIP's (arXiv 2103.00020) with hard negatives: for every picture the batch also holds captions that
name one attribute wrongly. Pictures are blurred and made noisy at random, so that a sample of a diffusion model is
not a foreign thing. Neither utility nor samples of the base model nor labels are seen.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTokenizer

from tastemaker.backbone.load import bars_on_terminals_only
from tastemaker.base.draw import numbers
from tastemaker.base.files import locked
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.world import captions, models
from tastemaker.world.fit import Fit, Plan, parameters_of
from tastemaker.world.render import render

HARD = 3
"""Captions with one wrong attribute for each picture of a batch."""
NOISE, BLUR = 0.08, 0.7
"""Largest standard deviation of pixel noise and largest weight of a 3×3 blur; pixels are in [−1, 1]."""
SCORER = Plan(steps=2500, batch=64, lr=1e-3, warmup=100, decay=0.995)


def batch(plan: Plan, step: int) -> tuple[Tensor, list[str]]:
    """Pictures [B, 3, SIDE, SIDE] and B right captions followed by `HARD`·B wrong ones."""
    random = numbers(plan.seed, "contrast", step)
    stream = captions.stream("train", random)
    scenes = [next(stream) for _ in range(plan.batch)]
    pictures = np.stack([render(scene, random).transpose(2, 0, 1) * 2 - 1 for scene in scenes])
    wrong = [captions.mistake(scene, random) for _ in range(HARD) for scene in scenes]
    return spoil(torch.from_numpy(pictures), random), [captions.caption(scene) for scene in scenes + wrong]


def spoil(pictures: Tensor, random: Generator) -> Tensor:
    """Blur and noise of a strength drawn for each picture."""
    strength = torch.from_numpy(random.random((2, len(pictures), 1, 1, 1)).astype(np.float32))
    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    noise = torch.from_numpy(random.standard_normal(pictures.shape, dtype=np.float32))
    return torch.lerp(pictures, blurred, BLUR * strength[0]) + NOISE * strength[1] * noise


def contrastive_loss(model: CLIPModel, tokens: CLIPTokenizer, pictures: Tensor, texts: list[str]) -> Tensor:
    """Mean of picture→caption (over all captions) and right caption→picture cross-entropy."""
    inputs = tokens(texts, padding=True, return_tensors="pt")
    out = model(pixel_values=pictures, **inputs)
    right = torch.arange(len(pictures))
    to_text = F.cross_entropy(out.logits_per_image, right)
    return (to_text + F.cross_entropy(out.logits_per_text[: len(pictures)], right)) / 2


def train_scorer(out: Path, *, plan: Plan = SCORER) -> dict[str, Any]:
    """Train the world scorer into ``out/model``; resumable."""
    started = time.monotonic()
    mark = fingerprint(**dataclasses.asdict(plan))
    with locked(out):
        if done := finished(out, mark):
            return done
        model, tokens = models.contrastive(plan.seed)
        fit = Fit(out, plan, parameters_of({"clip": model}))
        fit.run(lambda step: contrastive_loss(model, tokens, *batch(plan, step)), "world scorer")
        with bars_on_terminals_only():
            model.save_pretrained(out / "model")
        tokens.save_pretrained(out / "model")
        return finish(out, "world scorer", started, fingerprint=mark, **dataclasses.asdict(plan))
