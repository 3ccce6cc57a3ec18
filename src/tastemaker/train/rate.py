"""The learning rate of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tastemaker.train.config import Settings


def rate(step: int, steps: int, settings: Settings) -> float:
    """The rate of step ``step`` (from 0) of ``steps``: lr·min(1, (step + 1) / warmup_steps)."""
    del steps
    return settings.lr * min(1.0, (step + 1) / max(1, settings.warmup_steps))
