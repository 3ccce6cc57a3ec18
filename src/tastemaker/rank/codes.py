"""Images and prompts as numbers, so that a million comparisons are joined with their scores by integers.

The shas of a comparison are texts of 64 letters; each is looked up once (`texts`), and everything behind it (which
images belong to a prompt, which pairs repeat another) works on codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.rank.texts import CHUNK, encoded, place
from tastemaker.score.scores import Scores


@dataclass(frozen=True)
class Coded:
    """n comparisons and the codes of their images and prompts; −1 stands for no image."""

    table: pa.Table
    images: pa.Array
    """Distinct image shas; the code is the place. It may hold images that no comparison has."""
    prompts: pa.Array
    """Distinct prompt shas; the code is the place."""
    image_a: np.ndarray
    """int64 [n]"""
    image_b: np.ndarray
    """int64 [n]"""
    prompt: np.ndarray
    """int64 [n]"""


def code(comparisons: pa.Table, known: pa.Array | None = None) -> Coded:
    """Number the images and prompts of ``comparisons`` (columns `ranking.NEEDED`); images ``known`` [k] come first."""
    n = len(comparisons)
    both = pa.chunked_array([*comparisons["image_a"].chunks, *comparisons["image_b"].chunks], pa.string())
    image, images = encoded(both, known)
    prompt, prompts = encoded(comparisons["prompt_sha"])
    return Coded(comparisons, images, prompts, image[:n], image[n:], prompt)


def scored_images(scores: Scores) -> pa.Array:
    """The distinct images of ``scores``, which are sorted by image."""
    distinct = scores.sha.filter(pa.array(_first_of_runs(scores.sha)))
    return pa.concat_arrays(distinct.chunks) if isinstance(distinct, pa.ChunkedArray) else distinct


class RawScores:
    """The raw scores of one scorer by codes; ``images`` are `scored_images`."""

    def __init__(self, scores: Scores, images: pa.Array, coded: Coded) -> None:
        change = _first_of_runs(scores.sha)
        self._raw, self._change, self._prompts = scores.raw, change, len(coded.prompts)
        self._run = _runs_of(coded.images, images)
        self._start = np.flatnonzero(change)
        self._prompt = place(scores.prompt_sha, coded.prompts)

    def find(self, image: np.ndarray, prompt: np.ndarray) -> np.ndarray:
        """float64 [m], of m (image code, prompt code); NaN where there is none."""
        found = np.full(len(image), np.nan)
        for first in range(0, len(image) if len(self._raw) else 0, CHUNK):
            part = slice(first, first + CHUNK)
            row = self._rows(image[part], prompt[part])
            found[part] = np.where(row >= 0, self._raw[row], np.nan)
        return found

    def _rows(self, image: np.ndarray, prompt: np.ndarray) -> np.ndarray:
        """The row of each, or −1."""
        run = np.where(image < 0, -1, self._run[image])
        row = self._start[run.clip(min=0)]
        right = self._prompt[row] == prompt  # most images have one prompt: nothing to search
        other = np.flatnonzero((run >= 0) & ~right)
        if len(other):
            keys, order = self._keys
            wanted = self._key(run[other], prompt[other])
            at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
            row[other], right[other] = order[at], keys[at] == wanted
        return np.where((run >= 0) & right, row, -1)

    @cached_property
    def _keys(self) -> tuple[np.ndarray, np.ndarray]:
        """One rising number of each (image, prompt), and the row that it belongs to."""
        keys = self._key(np.cumsum(self._change) - 1, self._prompt)
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def _key(self, run: np.ndarray, prompt: np.ndarray) -> np.ndarray:
        return np.asarray(run * (self._prompts + 1) + prompt + 1)  # a prompt that no comparison has is −1


def occurrence(codes: np.ndarray) -> np.ndarray:
    """int64 [n]: how many equal codes stand before each: of 5 7 5 5 it is 0 0 1 2."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    start = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(codes) else np.zeros(0, np.int64)
    within = np.empty(len(codes), np.int64)
    within[order] = np.arange(len(codes)) - np.repeat(start, np.diff(np.append(start, len(codes))))
    return within


def _runs_of(images: pa.Array, distinct: pa.Array) -> np.ndarray:
    """int64 [images]: the place of each image among the ``distinct`` ones of a scorer, or −1."""
    if len(images) >= len(distinct) and images[: len(distinct)].equals(distinct):  # `code` began with them
        return np.where(np.arange(len(images)) < len(distinct), np.arange(len(images)), -1)
    return place(images, distinct)


def _first_of_runs(values: pa.Array) -> np.ndarray:
    """bool [n]: where another value begins."""
    if not len(values):
        return np.zeros(0, bool)
    return np.concatenate([[True], np.asarray(pc.not_equal(values[1:], values[:-1]))])
