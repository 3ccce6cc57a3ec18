"""Sampled trajectories on disk: a folder a shard, memory-mapped safetensors, whole or not there.

    trajectories/00000/trajectories.safetensors    latents [n, N + 1, C, H, W], log_prob [n, N]; how in its header
    trajectories/00000/images.parquet              png, in the same order

A shard holds all images of some consecutive prompts of a round. The folder says (`mark.json`) which policy drew it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tastemaker.base import files
from tastemaker.rollout.walk import Trajectories

FOLDER, TENSORS, IMAGES, MARK = "trajectories", "trajectories.safetensors", "images.parquet", "mark.json"


def open_folder(round: Path, mark: str) -> Path:
    """The round's folder of shards; what another policy drew is removed."""
    folder = round / FOLDER
    if folder.exists() and (not (folder / MARK).is_file() or files.read_json(folder / MARK) != mark):
        shutil.rmtree(folder)
    if not folder.exists():
        files.write_json(folder / MARK, mark)
    files.clear_temporaries(folder)
    return folder


def shard_path(folder: Path, number: int) -> Path:
    """Where the shard ``number`` of a folder lies."""
    return folder / f"{number:05d}"


def write(
    folder: Path, number: int, trajectories: Trajectories, pngs: Sequence[bytes], how: Mapping[str, Any] | None = None
) -> None:
    """Write a shard durably; ``how`` it was drawn goes into the header, as JSON."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from safetensors.torch import save_file

    tensors = {"latents": trajectories.latents.contiguous(), "log_prob": trajectories.log_prob.contiguous()}
    with files.atomic_folder(shard_path(folder, number)) as temporary:
        save_file(tensors, temporary / TENSORS, {name: json.dumps(value) for name, value in (how or {}).items()})
        pq.write_table(pa.table({"png": pa.array(pngs, pa.binary())}), temporary / IMAGES)


def pngs(folder: Path, number: int) -> list[bytes]:
    """The images of a shard."""
    import pyarrow.parquet as pq

    images: list[bytes] = pq.read_table(shard_path(folder, number) / IMAGES)["png"].to_pylist()
    return images


class Reader:
    """Single latents and log-densities of a round's shards of ``size`` images each; nothing else is read."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._open = cache(self._map)

    def latents(self, rows: Sequence[int], j: Tensor) -> Tensor:
        """x_j [B, C, H, W] of images ``rows`` (numbers in the round) at ``j`` [B], in float32."""
        return torch.stack([self._at("latents", row, step) for row, step in zip(rows, j.tolist(), strict=True)]).float()

    def log_prob(self, rows: Sequence[int], j: Tensor) -> Tensor:
        """log π [B] of the step j of images ``rows`` under the policy that drew it."""
        return torch.stack([self._at("log_prob", row, step) for row, step in zip(rows, j.tolist(), strict=True)])

    def _at(self, name: str, row: int, j: int) -> Tensor:
        shard, place = divmod(row, self._size)
        found: Tensor = self._open(shard).get_slice(name)[place, j]
        return found

    def _map(self, shard: int) -> Any:
        from safetensors import safe_open

        return safe_open(shard_path(self._folder, shard) / TENSORS, framework="pt")
