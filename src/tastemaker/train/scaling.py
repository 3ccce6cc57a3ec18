"""Loss scaling for float16 (Micikevicius et al. 2018, arXiv:1710.03740), by torch's `GradScaler`.

Gradients of activations have the frozen weights' number format. In float16 those below 6e-8 are zero, so the loss is
multiplied by a scale before the backward pass and the gradients are divided by it after. The scale starts at 65536,
is halved when a gradient overflows, in a step that is skipped, and doubled after 2000 good steps in a row.

    scaler.scale(loss).backward()       for each micro-batch
    scaler.unscale_(optimizer)          once all gradients are added up, before they are clipped
    …                                   move the weights, if the norm is finite
    scaler.update()                     after every `unscale_`, whether the weights moved or not

For the other number formats each of these does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.amp import GradScaler


def make(dtype: str, device: torch.device) -> GradScaler:
    """The scaler for frozen weights of this ``dtype``; only float16's is enabled."""
    return GradScaler(device.type, enabled=dtype == "float16")


def overflowed(scaler: GradScaler) -> bool:
    """Whether gradients that are not finite, while the loss is, are the scale's doing; ask before `update`.

    A scale of 1 or less makes no gradient larger, so then it is the model's.
    """
    return scaler.is_enabled() and scaler.get_scale() > 1


def figures(scaler: GradScaler) -> dict[str, float]:
    """What to log: the scale, where there is one; this waits for the device."""
    return {"scale": scaler.get_scale()} if scaler.is_enabled() else {}


def tensors(scaler: GradScaler) -> dict[str, Tensor]:
    """What the scaler remembers: its scale and the good steps in a row; empty for one that is not enabled."""
    state = scaler.state_dict()
    names = {"scale": "scale", "good_steps": "_growth_tracker"} if state else {}
    return {name: torch.tensor(state[theirs], dtype=torch.float64) for name, theirs in names.items()}


def load(scaler: GradScaler, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `tensors` took."""
    if scaler.is_enabled():
        state = {"scale": tensors["scale"].item(), "_growth_tracker": int(tensors["good_steps"].item())}
        scaler.load_state_dict(scaler.state_dict() | state)
