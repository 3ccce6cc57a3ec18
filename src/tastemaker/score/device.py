"""Where and how exactly a reward model computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import torch

Dtype = Literal["float32", "float16", "bfloat16"]
"""Of weights and activations. In half precision cosines near 0.27 fall on a grid of 2⁻¹² and many of them tie."""


def torch_device(scorer: str, name: str) -> torch.device:
    """The device called ``name``, tried out; ``auto`` is CUDA's current device where there is one, else the CPU.

    Raises `UserError` where it is not to be had; ``scorer`` says for whom.
    """
    import torch

    wanted = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        return torch.empty(0, device=wanted).device
    except (RuntimeError, AssertionError):  # the latter where torch is built without CUDA
        raise UserError(f"{scorer}: device={name}: not to be had here; give auto, cpu or cuda:0") from None


def precise(scorer: str, dtype: str) -> None:
    """Raises `UserError` for a precision that there is not; ``scorer`` says for whom."""
    if dtype not in get_args(Dtype):
        raise UserError(f"{scorer}: dtype={dtype}: say {', '.join(get_args(Dtype))}")


def torch_dtype(dtype: Dtype) -> Any:
    """torch's type for a precision."""
    import torch

    return getattr(torch, dtype)


def suffix(dtype: Dtype) -> str:
    """What a precision adds to an id: nothing for float32."""
    return "" if dtype == "float32" else f"-{dtype}"


@contextlib.contextmanager
def exactly() -> Iterator[None]:
    """No gradients, and float32 convolutions in float32: CUDA rounds their factors to 10 bits (TF32) by default."""
    import torch

    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
