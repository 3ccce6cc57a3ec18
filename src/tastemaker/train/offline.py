"""Ranked pairs and their cache as a source of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tastemaker.train.batch import Batch, make_batch
from tastemaker.train.shapes import alike

if TYPE_CHECKING:
    from tastemaker.encode.cache import Cache
    from tastemaker.rank.pairs import Pair
    from tastemaker.train.config import Settings
    from tastemaker.train.order import Micro, Reading
    from tastemaker.train.signals import Stop
    from tastemaker.train.source import Figures


@dataclass(frozen=True)
class Offline:
    """A `Source` that has everything from the start."""

    reading: Reading
    cache: Cache
    settings: Settings
    waiting: ClassVar[None] = None

    @property
    def total(self) -> int:
        """Pairs that the run will see."""
        return self.reading.total

    def steps(self, pairs_a_step: int) -> int:
        """Optimizer steps; the last one may hold fewer pairs."""
        return self.reading.steps(pairs_a_step)

    def has(self, _: int) -> bool:
        """Always."""
        return True

    def supply(self, _: int, __: Stop) -> Figures:
        """Nothing to do."""
        return {}

    def micro_batches(self, step: int, batch_size: int, accumulate: int) -> list[Micro[Pair]]:
        """The micro-batches behind optimizer step ``step``."""
        return self.reading.micro_batches(step, batch_size, accumulate)

    def batches(self, micro: Micro[Pair]) -> Iterator[Batch]:
        """``micro`` in parts of one shape each."""
        seed, drop = self.settings.seed, self.settings.drop_caption
        for part in alike(micro, self.cache):
            yield make_batch(part.pairs, part.visits, self.cache, seed, drop_caption=drop)
