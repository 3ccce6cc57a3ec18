"""Where a reward model's files lie, what they are, and how they are read: nothing in them is ever run."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file, sha256_text

if TYPE_CHECKING:
    from torch import Tensor

HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
READ = (".safetensors", ".bin", ".pt", ".pth", ".json", ".txt", ".model")
"""Endings of the files that decide what a model computes: weights, configurations, the tokenizers' tables."""


def find_file(scorer: str, checkpoint: str, name: str) -> Path:
    """The file ``checkpoint``, or ``name`` in the folder or the hub id (``owner/repo[@revision]``) ``checkpoint``.

    Raises `UserError` when there is none; ``scorer`` says for whom.
    """
    path = Path(checkpoint)
    if path.is_file():
        return path
    if path.is_dir():
        if not (path / name).is_file():
            raise UserError(f"{scorer}: {path} has no {name}; give the file itself or the folder that holds it")
        return path / name
    from huggingface_hub import hf_hub_download

    return _from_hub(scorer, checkpoint, lambda repo, revision: hf_hub_download(repo, name, revision=revision))


def find_folder(scorer: str, checkpoint: str, *patterns: str) -> Path:
    """The folder ``checkpoint``, or that of the hub id ``owner/repo[@revision]`` with the files of ``patterns``.

    Raises `UserError` when there is none; ``scorer`` says for whom.
    """
    path = Path(checkpoint)
    if path.is_dir():
        return path
    from huggingface_hub import snapshot_download

    wanted = list(patterns) or [f"*{ending}" for ending in READ]
    return _from_hub(
        scorer, checkpoint, lambda repo, revision: snapshot_download(repo, revision=revision, allow_patterns=wanted)
    )


@cache
def revision(*paths: Path) -> str:
    """The first 12 hex digits of a SHA-256 over files, or over the weights, configurations and tables of folders."""
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    hashes = [sha256_file(file) for file in files if file.is_file() and (file in paths or file.suffix in READ)]
    return sha256_text(json.dumps(hashes))[:12] if len(hashes) != 1 else hashes[0][:12]


def read_tensors(scorer: str, path: Path) -> dict[str, Tensor]:
    """The state dict, in float32, of a ``.safetensors`` or a torch checkpoint; there it may lie in ``state_dict``.

    Unpickled with ``weights_only=True``. Raises `UserError` for a file that is something else.
    """
    try:
        found = _read(path)
    except Exception as error:  # unpicklers, zip and safetensors readers raise almost anything on other files
        hint = "give a state dict, from torch.save or as safetensors"
        raise UserError(f"{scorer}: {path}: not readable as weights ({_one_line(error)}); {hint}") from None
    for key in ("state_dict", "model"):
        found = found[key] if isinstance(found, dict) and isinstance(found.get(key), dict) else found
    tensors = {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}
    if not tensors or not all(hasattr(value, "float") for value in tensors.values()):
        raise UserError(f"{scorer}: {path}: holds no state dict; give the weights of one model, by name")
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _from_hub(scorer: str, checkpoint: str, fetch: Callable[[str, str | None], str]) -> Path:
    match = HUB_ID.fullmatch(checkpoint)
    if not match:
        raise UserError(f"{scorer}: {checkpoint}: no such file or folder; give a path or a hub id (owner/name)")
    try:
        with _bars_on_terminals_only():
            return Path(fetch(match["repo"], match["revision"]))
    except Exception as error:  # the client raises its own, requests' and the socket's errors
        raise UserError(
            f"{scorer}: {checkpoint}: no such file or folder, and the hub does not give it ({_one_line(error)}); "
            "download it yourself and give its path"
        ) from None


@contextlib.contextmanager
def _bars_on_terminals_only() -> Iterator[None]:
    """The client draws its bars into log files too, even for what it has already."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    quiet = not sys.stderr.isatty() and not are_progress_bars_disabled()
    if quiet:
        disable_progress_bars()
    try:
        yield
    finally:
        if quiet:
            enable_progress_bars()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
