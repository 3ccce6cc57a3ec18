"""The learning rate of a step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tastemaker.train.config import Settings


def rate(step: int, steps: int, settings: Settings) -> float:
    """The rate of step ``step`` (from 0) of ``steps``: it rises over W = ``warmup_steps``, then stays or falls.

        lr · (step + 1) / W                          step < W
        min_lr + (lr − min_lr) · f(p)                else, p = (step − W) / (steps − W) in [0, 1)

    f is 1 (`constant`), 1 − p (`linear`) or (1 + cos πp) / 2 (`cosine`), as in diffusers' schedulers of these names;
    those begin their warm-up with a step at rate 0, which moves nothing.
    """
    warmup = settings.warmup_steps
    if step < warmup or settings.lr_scheduler == "constant":
        return settings.lr * min(1.0, (step + 1) / max(1, warmup))
    passed = (step - warmup) / (steps - warmup)
    left = 1 - passed if settings.lr_scheduler == "linear" else (1 + math.cos(math.pi * passed)) / 2
    return settings.min_lr + (settings.lr - settings.min_lr) * left
