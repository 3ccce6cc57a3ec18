"""AdamW over named weights, its clipping and its state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer

if TYPE_CHECKING:
    from tastemaker.train.config import Settings

FUSED = ("cpu", "cuda", "mps")


def adamw(parameters: Mapping[str, Parameter], settings: Settings) -> AdamW:
    """AdamW (arXiv 1711.05101) over ``parameters``, with the fused kernel where the device has one."""
    weights = list(parameters.values())
    fused = weights[0].device.type in FUSED
    return AdamW(weights, settings.lr, settings.betas, weight_decay=settings.weight_decay, fused=fused)


def clip(parameters: Mapping[str, Parameter], longest: float) -> Tensor:
    """Scale the gradients down to the norm ``longest`` (0: leave them); the norm before it, on the device.

    A norm that is not finite spoils the gradients that it scales: look at it before `apply`.
    """
    return torch.nn.utils.clip_grad_norm_(list(parameters.values()), longest or float("inf"))


def apply(optimizer: Optimizer, rate: float) -> None:
    """Move the weights once, at ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


def clear(optimizer: Optimizer) -> None:
    """Drop the gradients."""
    optimizer.zero_grad(set_to_none=True)


def state_tensors(optimizer: Optimizer, parameters: Mapping[str, Parameter]) -> dict[str, Tensor]:
    """AdamW's memory as `weight name/moment` → tensor; empty before the first step."""
    return {
        f"{name}/{moment}": value
        for name, parameter in parameters.items()
        for moment, value in optimizer.state[parameter].items()
    }


def load_state_tensors(
    optimizer: Optimizer, parameters: Mapping[str, Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `state_tensors` took, on each weight's device."""
    for key, value in tensors.items():
        name, moment = key.rsplit("/", 1)
        optimizer.state[parameters[name]][moment] = value.to(parameters[name].device)
