"""A device that is not there: tensors that say they lie on it, compute on the CPU, and refuse to be mixed with others.

A computation that forgets to move a tensor works on every machine without a GPU and fails on every machine with one.
Inside `gpu` ``pretended`` is a device on which each operation runs as on the CPU, but only if all its tensors (single
numbers aside) are there, which is what a real one asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from diffusers import DiffusionPipeline
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map
from transformers import PreTrainedModel

NAME, TENSOR = "pretended", torch.tensor
MIXED = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
"""What may read tensors of both."""


class There(torch.Tensor):
    """A tensor on the pretended device; ``inside`` holds its numbers."""

    inside: torch.Tensor

    @staticmethod
    def __new__(cls, inside: torch.Tensor) -> There:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inside.shape,
            strides=inside.stride(),
            storage_offset=inside.storage_offset(),
            dtype=inside.dtype,
            device=torch.device(NAME, 0),
            requires_grad=inside.requires_grad,
        )

    def __init__(self, inside: torch.Tensor) -> None:
        self.inside = inside

    def __repr__(self) -> str:
        return f"There({self.inside!r})"

    def __getitem__(self, index: Any) -> Any:
        """Torch would put lists and arrays on the device itself, past everything that is here."""
        return super().__getitem__(torch.as_tensor(index).to(NAME) if isinstance(index, list | np.ndarray) else index)

    def tolist(self) -> Any:
        """Torch has it for its own class alone."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Device(TorchDispatchMode):
    """Also what makes new tensors goes through `_run`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _tensor(given: Any, **kwargs: Any) -> torch.Tensor:
    """`torch.tensor` fills a device's memory itself; this fills the CPU's, and moves it."""
    place = kwargs.pop("device", None)
    if place is None or torch.device(place).type != NAME:
        return TENSOR(given, **kwargs | ({} if place is None else {"device": place}))
    return TENSOR(given, **kwargs).to(place)


def _loaded(load: Any) -> Any:
    """``load`` as it is without the device: models are read into the CPU's memory, in ways of their own."""

    def loaded(kind: type[Any], *args: Any, **kwargs: Any) -> Any:
        with _disable_current_modes(), mock.patch.object(torch, "tensor", TENSOR):
            return load.__func__(kind, *args, **kwargs)

    return classmethod(loaded)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """``func`` on the numbers inside; what comes out lies where it was asked for, or where its tensors lie."""
    tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
    place = kwargs.get("device")
    there = any(isinstance(each, There) for each in tensors) if place is None else torch.device(place).type == NAME
    if func not in MIXED:
        _together(func, tensors)
    plain_args, plain_kwargs = tree_map(lambda each: each.inside if isinstance(each, There) else each, (args, kwargs))
    found = func(*plain_args, **plain_kwargs | ({"device": torch.device("cpu")} if place is not None and there else {}))
    return _wrapped(found, tensors) if there else found


def _together(func: Any, tensors: Sequence[torch.Tensor]) -> None:
    there = [isinstance(each, There) for each in tensors if each.ndim or isinstance(each, There)]
    if any(there) and not all(there):
        raise RuntimeError(f"{func}: there are tensors on the pretended device and on the CPU")


def _wrapped(found: Any, tensors: Sequence[torch.Tensor]) -> Any:
    """What was computed in place stays the tensor that it was."""
    known = {id(each.inside): each for each in tensors if isinstance(each, There)}
    return tree_map(lambda each: known.get(id(each), There(each)) if isinstance(each, torch.Tensor) else each, found)


class _Module:
    """What torch asks of `torch.cuda` and its like: one device, whose random numbers are the CPU's."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def manual_seed_all(self, seed: int) -> None:
        """The CPU's generator is seeded by torch itself."""

    def get_rng_state(self, _: object = None) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, _: object = None) -> None:
        torch.set_rng_state(state)


def register() -> None:
    """Make the name of a device of `NAME`; once in a process, which never forgets it."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())


@contextmanager
def gpu() -> Iterator[torch.device]:
    """``pretended`` is a device inside."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(torch, "tensor", _tensor))
        stack.enter_context(mock.patch.object(torch, "inference_mode", torch.no_grad))  # it knows no tensors of ours
        for kind in (DiffusionPipeline, PreTrainedModel):
            stack.enter_context(mock.patch.object(kind, "from_pretrained", _loaded(kind.from_pretrained)))
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(_Device())
        yield torch.device(NAME, 0)
