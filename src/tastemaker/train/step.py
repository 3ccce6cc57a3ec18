"""One step, where method, backbone and data meet: a batch in, one loss for each of its rows out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tastemaker.backbone.adapter import Trainable
from tastemaker.backbone.backbone import Backbone
from tastemaker.method.memory import Memory
from tastemaker.method.method import Method
from tastemaker.train.batch import Batch
from tastemaker.train.denoising import denoise
from tastemaker.train.transitions import Steps, follow


@dataclass(frozen=True, eq=False)
class Outcome:
    """``loss`` [P], which carries the gradient, and figures to log, [P] each without one; all on the device."""

    loss: Tensor
    stats: dict[str, Tensor]


def step(
    backbone: Backbone, trainable: Trainable, batch: Batch | Steps, method: Method, memory: Memory, seed: int
) -> Outcome:
    """Judge ``batch`` by ``method``. What the method does not read (losers, reference) is not run.

    ``memory`` is read, and gathers what it is to remember.
    """
    match batch:
        case Batch():
            seen = denoise(backbone, trainable, batch, method, memory, seed)
        case Steps():
            seen = follow(trainable, batch, method, memory)
    loss, stats = method.link(seen.evidence), seen.stats
    memory.observe_evidence(seen.t, seen.evidence, seen.omega * _slope(loss, seen.evidence.policy[0]))
    if (margin := seen.evidence.preference) is not None:
        stats["margin"] = margin = margin.detach()
        stats["accuracy"] = (margin > 0).float() + (margin == 0).float() / 2
    return Outcome(loss, stats)


def _slope(loss: Tensor, cost: Tensor) -> Tensor:
    """|∂L/∂n_θ^w| [P]; 0 where no gradient is kept."""
    if not loss.requires_grad:
        return torch.zeros_like(cost)
    return torch.autograd.grad(loss.sum(), cost, retain_graph=True)[0].abs()
