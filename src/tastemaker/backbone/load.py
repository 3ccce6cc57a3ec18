"""A model by name: a diffusers folder or a hub id → `Backbone`. Only safetensors are read, never pickles."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json, sha256_file, sha256_text

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionPipeline

    from tastemaker.backbone.backbone import Backbone

DType = Literal["float32", "bfloat16", "float16"]
INDEX = "model_index.json"
SUPPORTED = "StableDiffusionPipeline"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
READ = (".safetensors", ".json", ".txt")
"""Endings of the files that decide what a model computes: weights, configurations, the tokenizer's tables."""


def load(
    model: str | Path,
    dtype: DType = "float32",
    revision: str | None = None,
    device: str = "auto",
    adapter: str | Path | None = None,
    adapter_scale: float = 1.0,
    gradient_checkpointing: bool = False,
) -> Backbone:
    """The model of a local diffusers folder or a hub id, frozen, its weights cast to ``dtype`` once.

    ``device`` ``auto`` is CUDA where there is one. ``adapter`` is a folder or file of LoRA weights to put on, times
    ``adapter_scale``. ``gradient_checkpointing`` trades a second forward pass for memory in training and changes no
    number. The safety checker is not loaded.

    Raises `UserError` for a missing folder, index or weights file, for an architecture that is not supported and for a
    device that is not here.
    """
    import torch

    from tastemaker.backbone.stable_diffusion import StableDiffusion

    folder, place = _folder(model, revision), _device(device)
    with bars_on_terminals_only():
        pipeline = _pipeline(folder)
    if adapter is not None:
        _put_on(pipeline, Path(adapter), adapter_scale)
    if gradient_checkpointing:
        pipeline.unet.enable_gradient_checkpointing()
    pipeline.to(place, getattr(torch, dtype))
    return StableDiffusion(pipeline, lambda: _identity(model, folder))


def identity(model: str | Path, revision: str | None = None) -> str:
    """`Backbone.key` of ``model`` without loading it: ``id@commit``, or ``sha256:…`` over a local folder's files.

    A folder that is moved or copied keeps its identity. Raises `UserError` as `load` does.
    """
    return _identity(model, _folder(model, revision))


def _identity(model: str | Path, folder: Path) -> str:
    if not Path(model).exists():
        return f"{model}@{folder.name}"
    parts = [path for path in sorted(folder.rglob("*")) if path.suffix in READ and not path.name.startswith(".")]
    index = read_json(folder / INDEX)
    used = [path for path in parts if path.parent == folder or path.relative_to(folder).parts[0] in index]
    hashes = {path.relative_to(folder).as_posix(): sha256_file(path) for path in used}
    return f"sha256:{sha256_text(json.dumps(hashes, sort_keys=True))}"


def _folder(model: str | Path, revision: str | None) -> Path:
    """The local folder of ``model``, downloaded when it is a hub id; its pipeline class is a supported one."""
    folder = Path(model)
    if not folder.exists():
        if not HUB_ID.fullmatch(str(model)):
            raise UserError(f"{model}: no such model folder; give a diffusers folder or a hub id such as owner/name")
        folder = _download(str(model), revision)
    if not (folder / INDEX).is_file():
        raise UserError(f"{model}: no {INDEX} in it; give the folder that pipeline.save_pretrained wrote")
    index = read_json(folder / INDEX)
    name = index.get("_class_name") if isinstance(index, dict) else None
    if name != SUPPORTED:
        raise UserError(f"{folder / INDEX}: pipeline class {name!r} is not supported; use a {SUPPORTED}")
    return folder


def _device(name: str) -> torch.device:
    """The device called ``name``, tried out; ``auto`` is CUDA where there is one."""
    import torch

    wanted = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        return torch.empty(0, device=wanted).device
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without CUDA
        raise UserError(f"device {name}: not to be had here ({_line(error)}); give auto or cpu") from None


def _download(model: str, revision: str | None) -> Path:
    from diffusers import DiffusionPipeline

    try:
        return Path(DiffusionPipeline.download(model, revision=revision, use_safetensors=True, safety_checker=None))
    except (OSError, ValueError) as error:
        raise UserError(f"{model}: no such folder, and not to be had from the hub ({_line(error)})") from error


def _pipeline(folder: Path) -> StableDiffusionPipeline:
    from diffusers import StableDiffusionPipeline
    from safetensors import SafetensorError

    try:
        return StableDiffusionPipeline.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            safety_checker=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot be loaded ({_line(error)}); save it again as safetensors") from error


def _put_on(pipeline: StableDiffusionPipeline, adapter: Path, scale: float) -> None:
    from safetensors import SafetensorError

    if not adapter.exists():
        raise UserError(f"{adapter}: no such adapter; give the folder or the .safetensors file of LoRA weights")
    try:
        pipeline.load_lora_weights(adapter, adapter_name="adapter", use_safetensors=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{adapter}: not LoRA weights of this model ({_line(error)})") from error
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


def _line(error: Exception) -> str:
    """The first line of an error's text."""
    return str(error).strip().partition("\n")[0]
