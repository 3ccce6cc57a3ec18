"""Near-duplicate images, by a difference hash of their pixels.

A pair whose two images look the same teaches nothing that can be seen; a pair that repeats another of its prompt with
images that look the same teaches that one twice, or its opposite.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.base.progress import bar
from tastemaker.data.images import ImageProblem, decode
from tastemaker.data.store import ImageStore

BITS = 64
ABSENT = BITS + 1
"""Distance between an image and none: farther than any two images."""


def check(distance: int) -> None:
    """Raise `UserError` where ``distance`` is no number of bits that two hashes may differ in."""
    if not 0 <= distance < BITS:
        raise UserError(f"--drop-near-duplicates {distance}: a number of bits from 0 (the same) to {BITS - 1}; try 4")


def difference_hash(image: Image.Image) -> int:
    """64 bits: whether each of 8 × 8 places is brighter than its right neighbour, in grey, at 9 × 8 pixels."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = np.packbits(grey[:, :-1] > grey[:, 1:])
    return int.from_bytes(bits.tobytes(), "big")


def hashes(data: Path, shas: Iterable[str]) -> dict[str, int]:
    """sha → hash of the images of ``data``; one that cannot be decoded has none, and is nobody's duplicate."""
    wanted, found = list(shas), {}
    for sha, encoded in bar(ImageStore(data).read_many(wanted), "looking for near-duplicates", len(wanted), "image"):
        try:
            found[sha] = difference_hash(decode(encoded))
        except ImageProblem:
            continue  # counted by the verbs that need its pixels; here it only means that nothing is known
    return found


def repeated(prompt: np.ndarray, images: np.ndarray, known: Mapping[int, int], distance: int) -> np.ndarray:
    """bool [n]: the pairs, best first, whose images are alike or that repeat an earlier one that stays.

    ``prompt`` [n] and ``images`` [2, n] are codes, −1 for no image; ``known`` has the hashes by code. Alike is a
    Hamming distance of at most ``distance`` bits. A repetition has both images alike, either way round.
    """
    hashed = np.array([known.get(code, 0) for code in images.reshape(-1).tolist()], np.uint64).reshape(2, -1)
    blank = ~np.isin(images, np.fromiter(known, np.int64, len(known)))
    nobody = blank & (images >= 0)  # an image without a hash is like no other
    alike = (np.bitwise_count(hashed[0] ^ hashed[1]) <= distance) & ~blank.any(0)
    stay: dict[int, list[int]] = defaultdict(list)
    drop = alike.copy()
    for pair in np.flatnonzero(~alike & ~nobody.any(0)).tolist():
        others = stay[int(prompt[pair])]
        drop[pair] = bool(others) and _repeats(hashed, blank, pair, others, distance)
        if not drop[pair]:
            others.append(pair)
    return drop


def _repeats(hashed: np.ndarray, blank: np.ndarray, pair: int, others: list[int], distance: int) -> bool:
    there, hole = hashed[:, others], blank[:, others]
    one = hashed[:, [pair]], blank[:, [pair]]
    either = (_apart(there, hole, *one), _apart(there[::-1], hole[::-1], *one))
    return any(bool((apart <= distance).all(0).any()) for apart in either)


def _apart(first: np.ndarray, no_first: np.ndarray, second: np.ndarray, no_second: np.ndarray) -> np.ndarray:
    """Hamming distances; two images that are not there are the same, one that is not there is far from all others."""
    apart = np.bitwise_count(first ^ second).astype(np.int64)
    return np.where(no_first & no_second, 0, np.where(no_first | no_second, ABSENT, apart))
