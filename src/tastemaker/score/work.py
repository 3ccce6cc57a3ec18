"""What there is to score: the distinct (image, prompt) that the comparisons of a data folder name, and its blocks.

The blocks are cut from all the rows, done or not, so the same comparisons give the same blocks however often a run was
stopped, by however many workers and in whatever order they are scored: a block's batches, and with them every bit of
its scores, depend on the block alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file
from tastemaker.data.store import COMPARISONS, read_columns
from tastemaker.score.scores import place

NEEDED = ["prompt", "prompt_sha", "image_a", "image_b"]


@dataclass(frozen=True)
class Work:
    """n rows, sorted by image and prompt; images and prompts stand in the order of the comparisons, as in the store."""

    images: pa.Array
    """Distinct image shas."""
    prompt_shas: pa.Array
    prompts: list[str]
    """Distinct prompts, as `prompt_shas`."""
    image: np.ndarray
    """int64 [n]: place in `images`."""
    prompt: np.ndarray
    """int64 [n]: place in `prompts`."""

    def __len__(self) -> int:
        return len(self.image)

    @cached_property
    def _key(self) -> np.ndarray:
        return self.image * len(self.prompts) + self.prompt

    def find(self, sha: pa.ChunkedArray, prompt_sha: pa.ChunkedArray) -> np.ndarray:
        """int64 [m]: the row of each (image, prompt); −1 where it is not asked for."""
        image, prompt = place(sha, self.images), place(prompt_sha, self.prompt_shas)
        asked = image * len(self.prompts) + prompt
        row = np.searchsorted(self._key, asked).clip(max=len(self) - 1)
        return np.where((image >= 0) & (prompt >= 0) & (self._key[row] == asked), row, -1)

    def blocks(self, rows: int) -> Iterator[slice]:
        """Cut all rows into blocks of at least ``rows``; the prompts of one image stay together."""
        start = 0
        ends: np.ndarray = np.append(np.flatnonzero(np.diff(self.image)) + 1, len(self))  # of an image's rows
        while start < len(self):
            end = int(ends[min(int(np.searchsorted(ends, start + rows)), len(ends) - 1)])
            yield slice(start, end)
            start = end


def wanted(data: Path) -> Work:
    """All distinct (image, prompt) of ``data``; raises `UserError` when there is none."""
    table = read_columns(data, NEEDED).combine_chunks()
    if not len(table):
        raise UserError(f"{data}: there are no comparisons here; import some with: tastemaker import")
    prompt = _coded(table["prompt_sha"])
    first = np.unique(prompt.indices.to_numpy(), return_index=True)[1]
    image = _coded(_in_turn(table["image_a"], table["image_b"]))
    asked = np.repeat(prompt.indices.to_numpy(), 2)[_given(table["image_b"])]
    rows = np.unique(image.indices.to_numpy().astype(np.int64) * len(first) + asked)
    prompts = table["prompt"].take(pa.array(first)).to_pylist()
    return Work(image.dictionary, prompt.dictionary, prompts, rows // len(first), rows % len(first))


def comparisons_sha(data: Path) -> str:
    """Hex SHA-256 of the comparisons of ``data``: by it a verb knows that it has seen them before."""
    path = data / COMPARISONS
    if not path.exists():
        raise UserError(f"{path}: no such file; make it with: tastemaker import SOURCE --out {data}")
    return sha256_file(path)


def _given(image_b: pa.ChunkedArray) -> np.ndarray:
    """bool [2n]: which of (first, second, first, …) there are."""
    given = np.ones((len(image_b), 2), bool)
    given[:, 1] = image_b.is_valid()
    return given.reshape(-1)


def _in_turn(image_a: pa.ChunkedArray, image_b: pa.ChunkedArray) -> pa.ChunkedArray:
    """The images of one comparison after the other, a before b; b is left out where there is none."""
    place = np.arange(2 * len(image_a)).reshape(2, -1).T.reshape(-1)[_given(image_b)]
    return pa.chunked_array([*image_a.chunks, *image_b.chunks]).take(pa.array(place))


def _coded(values: pa.ChunkedArray) -> pa.DictionaryArray:
    """Codes by first appearance, and what they stand for."""
    return pa.concat_arrays(values.chunks).dictionary_encode()
