"""Which pair is read at which position: a function of (seed, weights, epoch, pair id) alone.

    due(s, k) = (k + ½) / w_s        pair k = 0, 1, … of source s with weight w_s

Pairs of several sources are read as they fall due, the first source first where two are due at once (Sainte-Laguë's
method of allotting seats). Of any first p positions a source with the share r of all weights has p·r, give or take
½ + r·S/2 for S sources, and which pair stands at position p can be said without reading the positions before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from tastemaker.base.draw import key_bits
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from tastemaker.rank.pairs import Pair
    from tastemaker.train.config import Data


def pairs_to_read(available: int, data: Data) -> int:
    """Pairs that the run will see of the ``available`` ones of all sources: all epochs, or fewer by `max_pairs`."""
    everything = available * data.epochs
    return everything if data.max_pairs is None else min(everything, data.max_pairs)


class Named(Protocol):
    """A pair, whatever it is made of."""

    @property
    def pair_id(self) -> str:
        """What its draws are keyed by."""


T = TypeVar("T", bound=Named)


@dataclass(frozen=True)
class Micro(Generic[T]):
    """One micro-batch: the pairs and, for each, the number of this visit, which no other visit of the pair has."""

    pairs: list[T]
    visits: list[int]


class Reading:
    """The run's pairs in reading order.

    ``sources`` are the pairs of ``data.sources``. Each is read in its own order and begins again when it runs out; its
    epoch e of S sources has the visits e·S + s, so that a pair that stands in two sources is never drawn twice alike.
    Raises `UserError` for a source without pairs.
    """

    def __init__(self, sources: Sequence[Sequence[Pair]], data: Data, seed: int) -> None:
        for source, pairs in zip(data.sources, sources, strict=True):
            if not pairs:
                raise UserError(f"data.pairs: {source.pairs}: holds no pair; rank again with a larger cut")
        self._sources, self._data, self._seed = sources, data, seed
        self._weights = [Fraction(source.weight) for source in data.sources]
        self._epochs: dict[int, tuple[int, Sequence[Pair]]] = {}
        self.total = pairs_to_read(sum(map(len, sources)), data)

    def steps(self, pairs_a_step: int) -> int:
        """Optimizer steps; the last one may hold fewer pairs."""
        return -(-self.total // pairs_a_step)

    def micro_batches(self, step: int, batch_size: int, accumulate: int) -> list[Micro[Pair]]:
        """The micro-batches behind optimizer step ``step``, counted from 0."""
        first = step * batch_size * accumulate
        last = min(first + batch_size * accumulate, self.total)
        return [self._micro(at, min(at + batch_size, last)) for at in range(first, last, batch_size)]

    def _micro(self, first: int, last: int) -> Micro[Pair]:
        micro: Micro[Pair] = Micro([], [])
        for source, number in places(self._weights, first, last):
            epoch, index = divmod(number, len(self._sources[source]))
            micro.pairs.append(self._ordered(source, epoch)[index])
            micro.visits.append(epoch * len(self._sources) + source)
        return micro

    def _ordered(self, source: int, epoch: int) -> Sequence[Pair]:
        if self._data.order == "sorted":
            return self._sources[source]
        known, ordered = self._epochs.get(source, (-1, ()))
        if known != epoch:
            ordered = sorted(self._sources[source], key=lambda pair: self._rank(epoch, pair))
            self._epochs[source] = epoch, ordered
        return ordered

    def _rank(self, epoch: int, pair: Pair) -> int:
        return key_bits("order", self._seed, epoch, pair.pair_id)


def places(weights: Sequence[Fraction], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The source s and the number k of its pair at each of the positions ``first`` … ``last`` − 1."""
    numbers = _read_before(weights, first)
    for _ in range(first, last):
        source = _next(weights, numbers)
        yield source, numbers[source]
        numbers[source] += 1


def _read_before(weights: Sequence[Fraction], position: int) -> list[int]:
    """How many pairs each source has given before ``position``.

    Before the time T = (position − S/2) / Σw source s has ⌈w_s T − ½⌉ pairs due: all S sources together at most
    ``position``, and at most S fewer, which are then counted one by one.
    """
    time = (position - Fraction(len(weights), 2)) / sum(weights)
    numbers = [max(0, math.ceil(weight * time - Fraction(1, 2))) for weight in weights]
    for _ in range(position - sum(numbers)):
        numbers[_next(weights, numbers)] += 1
    return numbers


def _next(weights: Sequence[Fraction], numbers: Sequence[int]) -> int:
    """The source whose next pair is due first."""
    return min(range(len(weights)), key=lambda source: Fraction(2 * numbers[source] + 1, 2) / weights[source])
