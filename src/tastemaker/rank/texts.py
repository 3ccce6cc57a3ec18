"""Shas looked up by the million.

A text of 64 letters is eight words of a machine. The words are mixed into one number, numbers are looked up several
times faster than texts, and what was found is compared letter by letter, so nothing rests on the mixture being unique:
where it fails, and for texts of another length, Arrow looks up the texts themselves.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

LETTERS = 64
WORDS = LETTERS // 8
ODD = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio: spreads the bits when multiplied by
CHUNK = 1 << 16
"""Texts that are compared at once: 4 MB."""


def encoded(values: pa.ChunkedArray, known: pa.Array | None = None) -> tuple[np.ndarray, pa.Array]:
    """The codes, int64 [n], of ``values`` and the texts they stand for; ``known`` ones first, −1 for null."""
    if known is None or not len(known):
        return _by_appearance(values)
    found = place(values, known)
    new = (found < 0) & np.asarray(values.is_valid())
    if not new.any():
        return found, known
    more, texts = _by_appearance(values.filter(pa.array(new)))
    found[new] = more + len(known)
    return found, pa.concat_arrays([known, texts])


def place(values: pa.Array | pa.ChunkedArray, known: pa.Array) -> np.ndarray:
    """int64 [n]: where each of ``values`` stands among the distinct ``known`` ones, or −1."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    theirs = _words(known) if len(known) > CHUNK else None  # few are in the processor's cache anyway
    mine = [_words(chunk) for chunk in chunks] if theirs is not None else []
    asked = [words for words in mine if words is not None]
    found = _by_words(asked, theirs) if theirs is not None and len(asked) == len(chunks) else None
    return _by_text(values, known) if found is None else found


def _by_text(values: pa.Array | pa.ChunkedArray, known: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.index_in(values, value_set=known), -1)).astype(np.int64)


def _by_appearance(values: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    one = values.chunk(0) if values.num_chunks == 1 else pa.concat_arrays(values.chunks or [pa.array([], pa.string())])
    coded = one.dictionary_encode()
    return np.asarray(pc.fill_null(coded.indices, -1)).astype(np.int64), coded.dictionary


def _words(texts: pa.Array) -> np.ndarray | None:
    """uint64 [n, 8], a view of the texts' bytes; None where there is a null or a text of another length."""
    if texts.type != pa.string() or texts.null_count or not len(texts):
        return None
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    if not (np.diff(ends) == LETTERS).all():
        return None
    return np.frombuffer(data, np.uint8, LETTERS * len(texts), int(ends[0])).view(np.uint64).reshape(-1, WORDS)


def _mixed(words: np.ndarray) -> np.ndarray:
    """uint64 [n]: one number of each eight."""
    mixed = words[:, 0].copy()
    for place_ in range(1, WORDS):
        mixed *= ODD
        mixed ^= mixed >> np.uint64(29)
        mixed += words[:, place_]
    return mixed


class _Numbers:
    """Sorted numbers, found by their first bits: where those begin, and a few steps from there."""

    def __init__(self, numbers: np.ndarray) -> None:
        self._order = np.argsort(numbers)
        self._sorted = numbers[self._order]
        bits = len(numbers).bit_length()
        self._shift = np.uint64(64 - bits)
        count = np.bincount((self._sorted >> self._shift).astype(np.int64), minlength=1 << bits)
        self._start = np.append(0, np.cumsum(count[:-1]))

    def find(self, asked: np.ndarray) -> np.ndarray:
        """int64 [m]: the place of each number before they were sorted, −1 where it is not among them."""
        last = len(self._sorted) - 1
        row = self._start[(asked >> self._shift).astype(np.int64)].clip(max=last)
        low = np.flatnonzero((self._sorted[row] < asked) & (row < last))
        while len(low):
            row[low] += 1
            low = low[(self._sorted[row[low]] < asked[low]) & (row[low] < last)]
        return np.where(self._sorted[row] == asked, self._order[row], -1)


def _by_words(asked: list[np.ndarray], known: np.ndarray) -> np.ndarray | None:
    """int64 [n]; None where two texts have the same number, so that it does not tell."""
    numbers, found = _Numbers(_mixed(known)), []
    for words in asked:
        for first in range(0, len(words), CHUNK):
            part = words[first : first + CHUNK]
            codes = numbers.find(_mixed(part))
            if not (known[codes.clip(min=0)] == part)[codes >= 0].all():
                return None
            found.append(codes)
    return np.concatenate(found)
