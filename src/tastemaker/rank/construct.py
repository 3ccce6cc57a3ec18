"""New pairs that nobody was asked about: of the images of one prompt, the best against the worst by ψ."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_text
from tastemaker.rank.codes import Coded
from tastemaker.rank.judge import CONSTRUCTED, Judged, Scored, look_up

MARGIN = 0.1


@dataclass(frozen=True)
class Construct:
    """At most ``most`` pairs a prompt, of images that were not compared and lie more than ``margin`` of ψ apart."""

    most: int = 0
    margin: float = MARGIN

    def __post_init__(self) -> None:
        if self.most < 0:
            raise UserError(f"--construct {self.most}: how many pairs a prompt at most; give 1 or more")
        if not 0 <= self.margin < 1:
            raise UserError(f"--construct-margin {self.margin}: a difference of ψ, from 0 to below 1")


Blend = Callable[[np.ndarray], np.ndarray]
"""One ψ [2, n] of several [K, 2, n] (`ensemble.blend`)."""


def construct(judged: Judged, how: Construct, scorers: Sequence[Scored], blend: Blend) -> Judged:
    """``judged`` and behind it the new pairs, largest difference first within a prompt; images without ψ take no part.

    A new pair has the strength 1 and an id that follows from its prompt and images.
    """
    row, image = _choose(judged, how, blend)
    coded = judged.coded
    raw, psi = look_up(coded, scorers, image, coded.prompt[row])
    return replace(
        judged,
        row=np.append(judged.row, row),
        pair_id=pa.chunked_array([*judged.pair_id.chunks, _ids(coded, row, image)], pa.string()),
        image=np.concatenate([judged.image, image], 1),
        tie=np.append(judged.tie, np.zeros(len(row), bool)),
        strength=np.append(judged.strength, np.ones(len(row))),
        raw=np.concatenate([judged.raw, raw], 2),
        psi=np.concatenate([judged.psi, psi], 2),
        origin=np.append(judged.origin, np.full(len(row), CONSTRUCTED, np.int8)),
    )


def _choose(judged: Judged, how: Construct, blend: Blend) -> tuple[np.ndarray, np.ndarray]:
    """A comparison of the prompt [m], and winners and losers [2, m]."""
    rows: list[int] = []
    pairs: list[tuple[int, int]] = []
    for prompt in _prompts(judged, blend(judged.psi)):
        found = list(islice(prompt.apart(how.margin), how.most))
        pairs += found
        rows += [prompt.row] * len(found)
    return np.array(rows, np.int64), np.array(pairs, np.int64).reshape(-1, 2).T


@dataclass(frozen=True)
class _Prompt:
    """The images of one prompt, best first (equal ψ by hash), and which of them were compared."""

    row: int
    images: list[int]
    psi: list[float]
    compared: set[frozenset[int]]

    def apart(self, margin: float) -> Iterator[tuple[int, int]]:
        """Pairs that were not compared, by falling difference of ψ, as long as it is above ``margin``."""
        last = len(self.images) - 1
        waiting = [(self.psi[last] - self.psi[0], 0, last)] if last > 0 else []
        while waiting:
            against, best, worst = heapq.heappop(waiting)
            if -against <= margin:
                return
            pair = self.images[best], self.images[worst]
            if frozenset(pair) not in self.compared:
                yield pair
            if best + 1 < worst:  # each pair is reached once: down the first column, then along its row
                heapq.heappush(waiting, (self.psi[worst - 1] - self.psi[best], best, worst - 1))
            if worst == last and best + 1 < worst:
                heapq.heappush(waiting, (self.psi[worst] - self.psi[best + 1], best + 1, worst))


def _prompts(judged: Judged, psi: np.ndarray) -> Iterator[_Prompt]:
    """The prompts of ``judged`` whose images have a ψ [2, n], one after the other."""
    prompt, image, value = _distinct(judged, psi)
    by_prompt = np.argsort(judged.prompt, kind="stable")
    ordered, (codes, start) = judged.prompt[by_prompt], np.unique(prompt, return_index=True)
    places = zip(np.searchsorted(ordered, codes), np.searchsorted(ordered, codes, "right"), strict=True)
    parts = zip(np.split(image, start[1:]), np.split(value, start[1:]), places, strict=True)
    for images, values, (low, high) in parts if len(codes) else ():
        pairs = by_prompt[low:high]
        compared = {frozenset(pair) for pair in judged.image[:, pairs].T.tolist()}
        yield _Prompt(int(judged.row[pairs[0]]), images.tolist(), values.tolist(), compared)


def _distinct(judged: Judged, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prompt, image and ψ of each (prompt, image) with a ψ, by prompt, falling ψ and hash."""
    known = np.isfinite(psi.reshape(-1))
    prompt, image, value = np.tile(judged.prompt, 2)[known], judged.image.reshape(-1)[known], psi.reshape(-1)[known]
    first = np.unique(prompt * len(judged.coded.images) + image, return_index=True)[1]
    prompt, image, value = prompt[first], image[first], value[first]
    order = np.lexsort((_hash_order(judged.coded.images)[image], -value, prompt))
    return prompt[order], image[order], value[order]


def _hash_order(images: pa.Array) -> np.ndarray:
    """int64 [images]: the place of each image among all, by hash."""
    place = np.empty(len(images), np.int64)
    place[np.asarray(pc.sort_indices(images))] = np.arange(len(images))
    return place


def _ids(coded: Coded, row: np.ndarray, image: np.ndarray) -> pa.Array:
    prompts = coded.prompts.take(pa.array(coded.prompt[row])).to_pylist()
    winners, losers = (coded.images.take(pa.array(codes)).to_pylist() for codes in image)
    names = (f"constructed {' '.join(of)}" for of in zip(prompts, winners, losers, strict=True))
    return pa.array([sha256_text(name)[:32] for name in names], pa.string())
