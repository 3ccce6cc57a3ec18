"""An exponential moving average of the trained weights, kept in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]


def start(parameters: Weights) -> dict[str, Tensor]:
    """The average before the first step: the weights themselves."""
    return {name: parameter.detach().float().clone() for name, parameter in parameters.items()}


def decay_at(step: int, decay: float) -> float:
    """min(decay, (1 + step) / (10 + step)), so that a short run forgets its first weights."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update(average: Mapping[str, Tensor], parameters: Weights, step: int, decay: float) -> None:
    """average ← d·average + (1 − d)·weights with d = `decay_at` (step counts updates, from 1); in place."""
    share = 1 - decay_at(step, decay)
    for name, mean in average.items():
        mean.lerp_(parameters[name].detach().float(), share)


@contextlib.contextmanager
def using(average: Weights | None, parameters: Weights) -> Iterator[None]:
    """Put the average in the weights' place inside the block and the very same weights back after it."""
    if average is None:
        yield
        return
    kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    _copy(average, parameters)
    try:
        yield
    finally:
        _copy(kept, parameters)


@torch.no_grad()
def _copy(source: Weights, target: Weights) -> None:
    for name, value in source.items():
        target[name].copy_(value)
