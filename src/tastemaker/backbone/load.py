"""A model by name: a diffusers folder or a hub id → `Backbone`. Only safetensors are read, never pickles."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tastemaker.backbone.source import INDEX, find, identity_of, one_line, pipeline_class
from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json

if TYPE_CHECKING:
    import torch

    from tastemaker.backbone.backbone import Backbone

DType = Literal["float32", "bfloat16", "float16"]


def load(
    model: str | Path,
    dtype: DType = "float32",
    revision: str | None = None,
    device: str = "auto",
    adapter: str | Path | None = None,
    adapter_scale: float = 1.0,
    gradient_checkpointing: bool = False,
) -> Backbone:
    """The model of a local diffusers folder or a hub id, frozen, its weights cast to ``dtype`` as they are read.

    ``device`` ``auto`` is CUDA where there is one. ``adapter`` is a folder or file of LoRA weights to put on, times
    ``adapter_scale``. ``gradient_checkpointing`` trades a second forward pass for memory in training and changes no
    number. A safety checker is not loaded.

    Raises `UserError` for a missing folder, index or weights file, for an architecture that is not supported and for a
    device that is not here.
    """
    import torch

    folder, place = find(model, revision), named_device(device)
    kind = pipeline_class(folder)
    with bars_on_terminals_only():
        pipeline = _pipeline(folder, kind, getattr(torch, dtype)).to(place)
    if adapter is not None:
        _put_on(pipeline, Path(adapter), adapter_scale)
    backbone = _adapter(kind)(pipeline, lambda: identity_of(model, folder))
    if gradient_checkpointing:
        denoiser: Any = backbone.denoiser
        denoiser.enable_gradient_checkpointing()
    return backbone


def identity(model: str | Path, revision: str | None = None) -> str:
    """`Backbone.key` of ``model`` without loading it: ``id@commit``, or ``sha256:…`` over a local folder's files.

    A folder that is moved or copied keeps its identity. Raises `UserError` as `load` does.
    """
    return identity_of(model, find(model, revision))


def _adapter(kind: str) -> Callable[[Any, Callable[[], str]], Backbone]:
    """The adapter of a pipeline class; only the one that is needed is imported."""
    match kind:
        case "StableDiffusionPipeline":
            from tastemaker.backbone.stable_diffusion import StableDiffusion

            return StableDiffusion
        case "StableDiffusionXLPipeline":
            from tastemaker.backbone.sdxl import StableDiffusionXL

            return StableDiffusionXL
        case "StableDiffusion3Pipeline":
            from tastemaker.backbone.sd3 import StableDiffusion3

            return StableDiffusion3
        case "FluxPipeline":
            from tastemaker.backbone.flux import Flux

            return Flux
    raise AssertionError(kind)


def named_device(name: str) -> torch.device:
    """The device called ``name``, tried out, or a `UserError`; ``auto`` is CUDA where there is one."""
    import torch

    wanted = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        return torch.empty(0, device=wanted).device
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without CUDA
        raise UserError(f"device {name}: not to be had here ({one_line(error)}); give auto or cpu") from None


def _pipeline(folder: Path, kind: str, dtype: torch.dtype) -> Any:
    """What a library keeps in float32 even in a half-precision model, such as parts of T5 in float16, stays so."""
    from diffusers import DiffusionPipeline
    from safetensors import SafetensorError

    parts = {name: None for name, place in read_json(folder / INDEX).items() if place == [None, None]}  # as SD3's T5
    settings: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "local_files_only": True} | parts
    if kind == "StableDiffusionPipeline":
        settings |= {"safety_checker": None, "requires_safety_checker": False}
    try:
        return DiffusionPipeline.from_pretrained(folder, **settings)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot be loaded ({one_line(error)}); save it again as safetensors") from error


def _put_on(pipeline: Any, adapter: Path, scale: float) -> None:
    from safetensors import SafetensorError

    if not adapter.exists():
        raise UserError(f"{adapter}: no such adapter; give the folder or the .safetensors file of LoRA weights")
    try:
        pipeline.load_lora_weights(adapter, adapter_name="adapter", use_safetensors=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{adapter}: not LoRA weights of this model ({one_line(error)})") from error
    pipeline.set_adapters("adapter", scale)


@contextmanager
def bars_on_terminals_only() -> Iterator[None]:
    """diffusers and transformers draw their bars for loading and saving into log files too; inside, they do not."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    loud = [log for log in (diffusers_logging, transformers_logging) if log.is_progress_bar_enabled()]
    loud = [] if sys.stderr.isatty() else loud
    for log in loud:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in loud:
            log.enable_progress_bar()
