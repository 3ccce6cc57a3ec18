"""Tensors on their way to the device, without anyone waiting for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, device
    from torch import dtype as Dtype


def put(tensor: Tensor, place: device, dtype: Dtype | None = None) -> Tensor:
    """``tensor`` on ``place`` in ``dtype``, its own if None; a CUDA device gets it when it comes to it.

    `Tensor.to` would let the CPU wait until the device has done all that it was given before, and then the device waits
    for the CPU. ``tensor`` is copied to pinned memory first, so that it may be changed at once.
    """
    if place.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory().to(place, non_blocking=True)
    return tensor.to(place, dtype)
