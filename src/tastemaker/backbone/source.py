"""Where a model lies and what it is: a diffusers folder, or a hub id that is downloaded. No weight is loaded here."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json, sha256_file, sha256_text
from tastemaker.base.summary import NAME as SUMMARY

INDEX = "model_index.json"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
READ = (".safetensors", ".json", ".txt", ".model")
"""Endings of the files that decide what a model computes: weights, configurations, the tokenizers' tables."""
SUPPORTED = ("StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "FluxPipeline")
REFINER = "StableDiffusionXLImg2ImgPipeline"


def find(model: str | Path, revision: str | None) -> Path:
    """The local folder of ``model``, downloaded when it is a hub id.

    Raises `UserError` when there is none, when it has no index and when its pipeline class is not a supported one.
    """
    folder = Path(model)
    if not folder.exists():
        if not HUB_ID.fullmatch(str(model)):
            raise UserError(f"{model}: no such model folder; give a diffusers folder or a hub id such as owner/name")
        folder = _download(str(model), revision)
    if not (folder / INDEX).is_file():
        raise UserError(f"{model}: no {INDEX} in it; give the folder that pipeline.save_pretrained wrote")
    pipeline_class(folder)
    return folder


def pipeline_class(folder: Path) -> str:
    """Name of the diffusers class of the pipeline in ``folder``, one of `SUPPORTED`; `UserError` for another."""
    index = read_json(folder / INDEX)
    name = index.get("_class_name") if isinstance(index, dict) else None
    if name == REFINER:
        raise UserError(f"{folder / INDEX}: SDXL's refiner only redraws the base model's images; use the base model")
    if name not in SUPPORTED:
        raise UserError(f"{folder / INDEX}: pipeline class {name!r} is not supported; use a {' or '.join(SUPPORTED)}")
    return str(name)


def identity_of(model: str | Path, folder: Path) -> str:
    """``id@commit`` of a hub id, or ``sha256:…`` over a local folder's files."""
    if not Path(model).exists():
        return f"{model}@{folder.name}"
    parts = [path for path in sorted(folder.rglob("*")) if path.suffix in READ and not path.name.startswith(".")]
    index = read_json(folder / INDEX)
    used = [path for path in parts if path.parent == folder or path.relative_to(folder).parts[0] in index]
    used = [path for path in used if path != folder / SUMMARY]
    hashes = {path.relative_to(folder).as_posix(): sha256_file(path) for path in used}
    return f"sha256:{sha256_text(json.dumps(hashes, sort_keys=True))}"


def _download(model: str, revision: str | None) -> Path:
    from diffusers import DiffusionPipeline

    try:
        return Path(DiffusionPipeline.download(model, revision=revision, use_safetensors=True, safety_checker=None))
    except (OSError, ValueError) as error:
        raise UserError(f"{model}: no such folder, and not to be had from the hub ({one_line(error)})") from error


def one_line(error: Exception) -> str:
    """The first line of an error's text."""
    return str(error).strip().partition("\n")[0]
