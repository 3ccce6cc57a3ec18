"""Evidence from the error of denoising one noised step of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tastemaker.base.placing import put
from tastemaker.method.evidence import ROLES, Evidence
from tastemaker.train.batch import Batch, draws
from tastemaker.train.observed import Observed

if TYPE_CHECKING:
    from tastemaker.backbone.adapter import Trainable
    from tastemaker.backbone.backbone import Backbone
    from tastemaker.method.memory import Memory
    from tastemaker.method.method import Method


def denoise(
    backbone: Backbone, trainable: Trainable, batch: Batch, method: Method, memory: Memory, seed: int
) -> Observed:
    """Run policy and, where the method reads it, reference on ``batch``.

    Step t and noise ε are shared inside a pair: by winner and loser, which are one batch, and by policy and reference,
    which see that very batch. ``memory`` is read, and gathers the errors.
    """
    images = batch.images(losers=method.needs_loser)
    sides = len(images.x0) // len(batch.pair_ids)
    t, eps = draws(batch, method.credit.when, backbone.schedule.steps, seed)
    omega = method.credit.weight(t, backbone.schedule, backbone.head).float()
    every_t = t.repeat(sides)
    x0, eps, side, omega, at = (
        put(tensor, backbone.device) for tensor in (images.x0, torch.cat([eps] * sides), images.side, omega, every_t)
    )
    sign = None if images.sign is None else put(images.sign, backbone.device)
    x_t = backbone.schedule.noised(x0, eps, every_t)
    stats = {"t": at[: len(t)].float()}

    def costs(role: str, prefix: str) -> tuple[Tensor, ...]:
        """n = ω(t) e − κ C(t), [P] each: the winners' and, where they are read, the losers'."""
        error = backbone.forward(x_t, every_t, images.condition).error(x0, eps)
        memory.observe_errors(ROLES.index(role), side, at, error)
        stats.update(
            {f"{prefix}error_{name}": e for name, e in zip(images.names, error.detach().chunk(sides), strict=False)}
        )
        return (omega.repeat(sides) * error - memory.correction(ROLES.index(role), side, at)).chunk(sides)

    policy, reference = costs("policy", ""), tuple[Tensor, ...]()
    if method.needs_reference:
        with torch.no_grad(), trainable.reference():
            reference = costs("reference", "reference_")
    return Observed(Evidence(policy, reference, sign, memory.baseline), at[: len(t)], omega, stats)
