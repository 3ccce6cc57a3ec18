"""The folder `CACHE`: latent moments and prompt embeddings, read row by row from memory-mapped shards.

A row is looked up in ``cache.json``; layout in ``docs/architecture.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json, sha256_text

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.backbone.backbone import Condition, Moments

INDEX = "cache.json"
EMPTY = sha256_text("")
"""Key of the empty prompt, which every cache holds."""
OPEN_SHARDS = 64


def shard_path(folder: Path, kind: str, number: int) -> Path:
    """``images-00000.safetensors`` or ``prompts-00000.safetensors`` and so on."""
    return folder / f"{kind}-{number:05d}.safetensors"


class Cache:
    """A finished cache. Raises `UserError` when ``folder`` holds none, or not what is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index: dict[str, Any] = read_json(folder / INDEX)
        self._open = lru_cache(OPEN_SHARDS)(self._open_shard)

    @property
    def model_key(self) -> str:
        """`Backbone.key` of the model that encoded."""
        return str(self._index["model_key"])

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every latent."""
        channels, height, width = self._index["latent_shape"]
        return channels, height, width

    def moments(self, shas: Sequence[str]) -> Moments:
        """Mean and std [n, C, H, W] in float32 of the images with these hashes."""
        from tastemaker.backbone.backbone import Moments

        return Moments(self._rows("images", "mean", shas), self._rows("images", "std", shas))

    def condition(self, prompt_shas: Sequence[str]) -> Condition:
        """``embeds`` [n, L, D] in float32 of the prompts with these hashes."""
        return {"embeds": self._rows("prompts", "embeds", prompt_shas)}

    def _rows(self, kind: str, name: str, keys: Sequence[str]) -> Tensor:
        import torch

        places = [self._place(kind, key) for key in keys]
        return torch.stack([self._open(kind, shard).get_slice(name)[row] for shard, row in places])

    def _place(self, kind: str, key: str) -> tuple[int, int]:
        try:
            shard, row = self._index[kind][key]
        except KeyError:
            raise UserError(f"{self._folder}: nothing encoded for {kind[:-1]} {key}; encode these pairs too") from None
        return shard, row

    def _open_shard(self, kind: str, number: int) -> Any:
        from safetensors import SafetensorError, safe_open

        path = shard_path(self._folder, kind, number)
        try:
            return safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: missing or damaged; remove {self._folder} and encode again") from error
