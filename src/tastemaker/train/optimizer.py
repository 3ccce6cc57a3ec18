"""The optimizer over named weights: made, clipped for, moved, and its state as named tensors."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from tastemaker.base.errors import UserError
from tastemaker.train.choice import PACKED, Adafactor, AdamW, require_library

if TYPE_CHECKING:
    from tastemaker.train.config import Settings

FUSED = ("cpu", "cuda", "mps")
PACKING = ("cpu", "cuda", "xpu")
"""Devices for which bitsandbytes and torchao have 8-bit kernels."""
FP8_CAPABILITY = (8, 9)
ADAFACTOR_EPS = (1e-15, 1.0)
"""The square of the first is the paper's ε₁; the second bounds the weights' RMS from below, see `choice.Adafactor`."""


def make(parameters: Mapping[str, Parameter], settings: Settings) -> Optimizer:
    """The optimizer of ``settings`` over ``parameters``; AdamW has the fused kernel where the device has one.

    Raises:
        UserError: its library is not installed or does not load, or the device cannot run it.
    """
    choice, weights = settings.optimizer, list(parameters.values())
    require(choice, weights[0].device)
    if isinstance(choice, Adafactor):
        return torch.optim.Adafactor(weights, settings.lr, eps=ADAFACTOR_EPS, weight_decay=choice.weight_decay)
    options: dict[str, Any] = choice.model_dump(exclude={"kind"}) | {"lr": settings.lr}
    if choice.kind == "adamw":
        return torch.optim.AdamW(weights, **options, fused=weights[0].device.type in FUSED)
    return _packed(choice)(weights, **options)


def require(choice: AdamW | Adafactor, device: torch.device) -> None:
    """Raise a `UserError` when the library of ``choice`` is missing or ``device`` cannot run it."""
    require_library(choice)
    if choice.kind in PACKED and (problem := _device_problem(choice.kind, device)):
        raise UserError(f"train.optimizer.kind: {choice.kind} {problem}; set train.optimizer.kind: adamw")


def _device_problem(kind: str, device: torch.device) -> str | None:
    if device.type not in PACKING:
        return f"does not run on {device.type} (it does on {', '.join(PACKING)})"
    if kind == "torchao-adamwfp8" and device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability < FP8_CAPABILITY:
            return f"needs a GPU of compute capability 8.9 or above, {device} has {capability[0]}.{capability[1]}"
    if PACKED[kind].library == "torchao" and not _compiler(device):
        return "is compiled for this machine, and there is no C++ compiler (on Debian or Ubuntu: apt-get install g++)"
    return None


def _compiler(device: torch.device) -> bool:
    """Whether torch.compile finds what it starts: a C++ compiler for the CPU, a C compiler for Triton's kernels."""
    variable, usual = ("CXX", ("g++", "clang++")) if device.type == "cpu" else ("CC", ("gcc", "clang", "cc"))
    return any(map(shutil.which, [os.environ[variable]] if os.environ.get(variable) else usual))


def _packed(choice: AdamW) -> Any:
    library = PACKED[choice.kind].library
    try:
        if choice.kind == "adamw8bit":
            from bitsandbytes.optim import AdamW8bit

            return AdamW8bit
        from torchao import optim
    except (ImportError, OSError, RuntimeError) as error:
        line = " ".join(str(error).split())
        raise UserError(f"train.optimizer.kind: {choice.kind}: {library} cannot be loaded ({line})") from error
    return {
        "torchao-adamw8bit": optim.AdamW8bit,
        "torchao-adamw4bit": optim.AdamW4bit,
        "torchao-adamwfp8": optim.AdamWFp8,
    }[choice.kind]


def clip(parameters: Mapping[str, Parameter], longest: float) -> Tensor:
    """Scale the gradients down to the norm ``longest`` (0: leave them); the norm before it, on the device.

    A norm that is not finite spoils the gradients that it scales: look at it before `apply`.
    """
    return torch.nn.utils.clip_grad_norm_(list(parameters.values()), longest or float("inf"))


def apply(optimizer: Optimizer, rate: float) -> None:
    """Move the weights once, at ``rate``."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):  # torchao's compiled step would otherwise be compiled anew for each rate
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
    optimizer.step()


def clear(optimizer: Optimizer) -> None:
    """Drop the gradients."""
    optimizer.zero_grad(set_to_none=True)


def state_tensors(optimizer: Optimizer, parameters: Mapping[str, Parameter]) -> dict[str, Tensor]:
    """The optimizer's memory as `weight name/moment` → tensor; empty before the first step.

    A packed moment is several: its codes, their scales and the table of what they mean. All are the live ones, except
    tables that weights share, which no file can hold twice.
    """
    tensors: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, parameter in parameters.items():
        for moment, value in optimizer.state.get(parameter, {}).items():
            for key, tensor in _leaves(f"{name}/{moment}", value):
                tensors[key] = tensor.clone() if tensor.data_ptr() in places else tensor
                places.add(tensor.data_ptr())
    return tensors


def load_state_tensors(
    optimizer: Optimizer, parameters: Mapping[str, Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Put back, bit for bit, what `state_tensors` took, into a fresh ``optimizer``.

    The library makes the state itself, of its own classes and on the right devices, in a step at rate 0; then every
    tensor of it is overwritten. Raises `UserError` when the library now keeps something else.
    """
    _step_in_place(optimizer, {name: parameters[name] for name in {key.partition("/")[0] for key in tensors}})
    made = state_tensors(optimizer, parameters)
    if {key: (value.shape, value.dtype) for key, value in made.items()} != {
        key: (value.shape, value.dtype) for key, value in tensors.items()
    }:
        raise UserError(
            f"the checkpoint's optimizer state is not laid out as {type(optimizer).__module__} now does; "
            "install the version that wrote it, or train into another out"
        )
    for name, parameter in parameters.items():
        state = optimizer.state.get(parameter, {})
        for moment, value in state.items():
            if not isinstance(value, Tensor):
                state[moment] = type(value)(tensors[f"{name}/{moment}"].item())
                continue
            for key, tensor in _leaves(f"{name}/{moment}", value):
                tensor.copy_(tensors[key])


@torch.no_grad()
def _step_in_place(optimizer: Optimizer, parameters: Mapping[str, Parameter]) -> None:
    """A step that changes the optimizer's state alone."""
    kept = {name: parameter.clone() for name, parameter in parameters.items()}  # at rate 0, −0 can still become 0
    for parameter in parameters.values():
        parameter.grad = torch.zeros_like(parameter)
    apply(optimizer, 0.0)
    clear(optimizer)
    for name, parameter in parameters.items():
        parameter.copy_(kept[name])


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The plain tensors that ``value`` is made of; float8, which knows few operations, as bytes."""
    if not isinstance(value, Tensor):
        yield key, torch.tensor(value)
    elif flatten := getattr(value, "__tensor_flatten__", None):
        for part in flatten()[0]:
            yield from _leaves(f"{key}/{part}", getattr(value, part))
    else:
        yield key, value.view(torch.uint8) if value.dtype == torch.float8_e4m3fn else value
