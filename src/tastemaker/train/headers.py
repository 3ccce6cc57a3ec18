"""The shapes of a model's weights, read from the headers of its safetensors files: no weights, no torch.

A safetensors file begins with the length of its header (8 bytes, little-endian) and the header in JSON.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

from tastemaker.base.errors import UserError

Shapes = dict[str, tuple[int, ...]]
LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""


def model_folder(model: str, revision: str | None) -> Path | None:
    """Where ``model`` lies on this machine: its folder, or its place in the hub's cache; None when it is not here."""
    if (Path(model) / "model_index.json").is_file():
        return Path(model)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "model_index.json", revision=revision)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def part_shapes(folder: Path, part: str) -> Shapes:
    """Name → shape of every weight of one part (``unet``, ``vae``, …); variants such as fp16 are left out."""
    weights = [file for file in sorted((folder / part).glob("*.safetensors")) if len(file.name.split(".")) == 2]
    return {name: shape for file in weights for name, shape in header(file).items()}


def denoiser(folder: Path) -> tuple[str, Shapes]:
    """What the model calls its denoiser, ``unet`` or ``transformer``, and its weights; none when it is not here."""
    found = {part: part_shapes(folder, part) for part in ("transformer", "unet")}
    part = "transformer" if found["transformer"] else "unet"
    return part, found[part]


def header(path: Path) -> Shapes:
    """Name → shape of the tensors in a safetensors file. Raises `UserError` when it is not one."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= LONGEST_HEADER else b""
    try:
        entries: dict[str, Any] = json.loads(text)
    except ValueError:
        raise UserError(f"{path}: not a safetensors file; download the model again") from None
    return {name: tuple(entry["shape"]) for name, entry in entries.items() if name != "__metadata__"}


def count(shapes: Shapes) -> int:
    """Number of weights."""
    return sum(map(prod, shapes.values()))
