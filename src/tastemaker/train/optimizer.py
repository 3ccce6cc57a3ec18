"""AdamW over named weights, its rate, its clipping and its state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW

if TYPE_CHECKING:
    from tastemaker.train.config import Settings

FUSED = ("cpu", "cuda", "mps")


def adamw(parameters: Mapping[str, Parameter], settings: Settings) -> AdamW:
    """AdamW (arXiv 1711.05101) over ``parameters``, with the fused kernel where the device has one."""
    weights = list(parameters.values())
    fused = weights[0].device.type in FUSED
    return AdamW(weights, settings.lr, settings.betas, weight_decay=settings.weight_decay, fused=fused)


def rate(step: int, settings: Settings) -> float:
    """The rate of step ``step`` (from 0): lr·min(1, (step + 1) / warmup_steps)."""
    return settings.lr * min(1.0, (step + 1) / max(1, settings.warmup_steps))


def update(optimizer: AdamW, parameters: Mapping[str, Parameter], step: int, settings: Settings) -> Tensor:
    """Clip, step and clear the gradients; returns the norm before clipping, on the device."""
    norm = _clip(list(parameters.values()), settings.max_grad_norm)
    for group in optimizer.param_groups:
        group["lr"] = rate(step, settings)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


def _clip(parameters: list[Parameter], longest: float) -> Tensor:
    return torch.nn.utils.clip_grad_norm_(parameters, longest or float("inf"))


def state_tensors(optimizer: AdamW, parameters: Mapping[str, Parameter]) -> dict[str, Tensor]:
    """AdamW's memory as `weight name/moment` → tensor; empty before the first step."""
    return {
        f"{name}/{moment}": value
        for name, parameter in parameters.items()
        for moment, value in optimizer.state[parameter].items()
    }


def load_state_tensors(optimizer: AdamW, parameters: Mapping[str, Parameter], tensors: Mapping[str, Tensor]) -> None:
    """Put back what `state_tensors` took, on each weight's device."""
    for key, value in tensors.items():
        name, moment = key.rsplit("/", 1)
        optimizer.state[parameters[name]][moment] = value.to(parameters[name].device)
