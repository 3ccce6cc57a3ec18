"""The folder `CACHE`: latent moments, image geometry and prompt embeddings, read row by row from memory-mapped shards.

A row is looked up in ``cache.json``; layout in ``docs/architecture.md``. An image's key is its hash (cut to the model's
own square) or ``<hash>@<height>x<width>`` (cut to that bucket, in pixels).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json, sha256_text

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.backbone.backbone import Condition, Moments
    from tastemaker.encode.geometry import Size
    from tastemaker.rank.pairs import Pair

Keys = tuple[str | None, str | None]
"""Of the winner's image and the loser's; None where an unpaired one has no such side."""

INDEX = "cache.json"
EMPTY = sha256_text("")
"""Key of the empty prompt, which every cache holds."""
OPEN_SHARDS = 64


def shard_path(folder: Path, kind: str, number: int) -> Path:
    """``images-00000.safetensors`` or ``prompts-00000.safetensors`` and so on."""
    return folder / f"{kind}-{number:05d}.safetensors"


def image_key(sha: str, size: Size, resolution: int) -> str:
    """Key of the image ``sha`` cut to ``size``; ``resolution`` is the side of the cache's square."""
    height, width = size
    return sha if size == (resolution, resolution) else f"{sha}@{height}x{width}"


def missing_images(index: Mapping[str, Any], pairs: Iterable[Pair]) -> list[str]:
    """Keys, sorted, of the images of ``pairs`` that the cache with the index ``cache.json`` does not hold.

    A pair that a cache of buckets does not know has no bucket, so its images are missing by their hashes.
    """
    missing: set[str | None] = set()
    for pair in pairs:
        size = _size(index, pair)
        if size is None:
            missing.update((pair.winner, pair.loser))
        else:
            missing.update(key for key in _keys(pair, size, index["resolution"]) if key not in index["images"])
    return sorted(key for key in missing if key is not None)


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
        """(C, H, W) of the latent of a square image."""
        channels, height, width = self._index["latent_shape"]
        return channels, height, width

    def shape_of(self, pair: Pair) -> tuple[int, int, int]:
        """(C, H, W) of the latents of ``pair``: the square's, or its bucket's."""
        (channels, side, _), (height, width) = self.latent_shape, self._known_size(pair)
        return channels, height * side // self._resolution, width * side // self._resolution

    def images_of(self, pair: Pair) -> Keys:
        """Keys of the winner's image and the loser's."""
        return _keys(pair, self._known_size(pair), self._resolution)

    def moments(self, keys: Sequence[str]) -> Moments:
        """Mean and std [n, C, H, W] in float32 of the images with these keys, which must have one shape."""
        from tastemaker.backbone.backbone import Moments

        return Moments(self._images("mean", keys), self._images("std", keys))

    def time_ids(self, keys: Sequence[str]) -> Tensor:
        """`geometry.time_ids` [n, 6] in float32 of the images with these keys, which must have one shape."""
        return self._images("time_ids", keys)

    def condition(self, prompt_shas: Sequence[str]) -> Condition:
        """What the model says of the prompts with these hashes: all its tensors [n, …], in float32.

        ``embeds`` [n, L, D] in every case. Tensors that are no floating-point numbers keep their type.
        """
        places = [self._place("prompts", sha) for sha in prompt_shas]
        names = self._open("prompts", places[0][0]).keys()
        return {name: self._rows("prompts", name, places) for name in names}

    def _images(self, name: str, keys: Sequence[str]) -> Tensor:
        shapes = {key.partition("@")[2] for key in keys}
        assert len(shapes) == 1, f"images of one shape belong in a batch, not of {len(shapes)}"
        return self._rows("images", name, [self._place("images", key) for key in keys])

    def _rows(self, kind: str, name: str, places: Sequence[tuple[int, int]]) -> Tensor:
        import torch

        rows = torch.stack([self._slice(kind, shard, name)[row] for shard, row in places])
        return rows.float() if rows.is_floating_point() else rows

    def _slice(self, kind: str, shard: int, name: str) -> Any:
        from safetensors import SafetensorError

        try:
            return self._open(kind, shard).get_slice(name)
        except SafetensorError:
            path = shard_path(self._folder, kind, shard)
            raise UserError(f"{path}: holds no {name}; remove {self._folder} and encode again") from None

    @property
    def _resolution(self) -> int:
        return int(self._index["resolution"])

    def _known_size(self, pair: Pair) -> Size:
        if (size := _size(self._index, pair)) is None:
            raise UserError(f"{self._folder}: no bucket for pair {pair.pair_id}; encode these pairs too")
        return size

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


def _size(index: Mapping[str, Any], pair: Pair) -> Size | None:
    """Height and width in pixels that the images of ``pair`` were cut to; None for a pair without a bucket."""
    side = index["resolution"]
    found = index["buckets"].get(pair.pair_id) if "buckets" in index else (side, side)
    return None if found is None else (found[0], found[1])


def _keys(pair: Pair, size: Size, resolution: int) -> Keys:
    winner, loser = (None if sha is None else image_key(sha, size, resolution) for sha in (pair.winner, pair.loser))
    return winner, loser
