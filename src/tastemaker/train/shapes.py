"""Micro-batches of equal shape: aspect buckets put latents of several shapes into one reading order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tastemaker.train.order import Micro

if TYPE_CHECKING:
    from tastemaker.encode.cache import Cache
    from tastemaker.rank.pairs import Pair


def alike(micro: Micro[Pair], cache: Cache) -> list[Micro[Pair]]:
    """``micro`` in parts whose latents have one shape each, in the order in which the shapes first appear.

    A pair's draws and its loss depend on the pair alone, so the parts' gradients add up to the whole's.
    """
    parts: dict[tuple[int, ...], Micro[Pair]] = {}
    for pair, visit in zip(micro.pairs, micro.visits, strict=True):
        part = parts.setdefault(cache.shape_of(pair), Micro([], []))
        part.pairs.append(pair)
        part.visits.append(visit)
    return list(parts.values())
