"""Which pair is read at which position: a function of (seed, epoch, pair id) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tastemaker.base.draw import key_bits

if TYPE_CHECKING:
    from tastemaker.rank.pairs import Pair
    from tastemaker.train.config import Data


def pairs_to_read(available: int, data: Data) -> int:
    """Pairs that the run will see: all epochs, or fewer when `max_pairs` ends it early."""
    everything = available * data.epochs
    return everything if data.max_pairs is None else min(everything, data.max_pairs)


@dataclass(frozen=True)
class Micro:
    """One micro-batch: the pairs and, for each, how often it was seen before."""

    pairs: list[Pair]
    visits: list[int]


class Reading:
    """The run's pairs in reading order; position p lies in epoch p // len(pairs)."""

    def __init__(self, pairs: Sequence[Pair], data: Data, seed: int) -> None:
        self._pairs, self._data, self._seed = pairs, data, seed
        self._epoch: tuple[int, Sequence[Pair]] = (-1, ())
        self.total = pairs_to_read(len(pairs), data)

    def steps(self, pairs_a_step: int) -> int:
        """Optimizer steps; the last one may hold fewer pairs."""
        return -(-self.total // pairs_a_step)

    def micro_batches(self, step: int, batch_size: int, accumulate: int) -> list[Micro]:
        """The micro-batches behind optimizer step ``step``, counted from 0."""
        first = step * batch_size * accumulate
        last = min(first + batch_size * accumulate, self.total)
        return [self._micro(at, min(at + batch_size, last)) for at in range(first, last, batch_size)]

    def _micro(self, first: int, last: int) -> Micro:
        places = [divmod(position, len(self._pairs)) for position in range(first, last)]
        return Micro([self._ordered(epoch)[index] for epoch, index in places], [epoch for epoch, _ in places])

    def _ordered(self, epoch: int) -> Sequence[Pair]:
        if self._data.order == "sorted":
            return self._pairs
        if self._epoch[0] != epoch:
            self._epoch = (epoch, sorted(self._pairs, key=lambda pair: self._rank(epoch, pair)))
        return self._epoch[1]

    def _rank(self, epoch: int, pair: Pair) -> int:
        return key_bits("order", self._seed, epoch, pair.pair_id)
