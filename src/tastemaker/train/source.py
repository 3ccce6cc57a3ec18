"""Where training's pairs come from: ranked pairs on disk, or comparisons of images that the model has just drawn.

The loop knows no more than this protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tastemaker.train.batch import Batch
    from tastemaker.train.order import Micro
    from tastemaker.train.signals import Stop
    from tastemaker.train.transitions import Steps

Figures = dict[str, float]


class Source(Protocol):
    """The pairs of a run in reading order; every rank has one and asks it the same."""

    @property
    def total(self) -> int:
        """Pairs that the run will see, counted with repetition."""

    @property
    def waiting(self) -> str | None:
        """One line when `supply` gave up because something from outside is not there yet."""

    def steps(self, pairs_a_step: int) -> int:
        """Optimizer steps of the run."""

    def has(self, step: int) -> bool:
        """Whether the pairs of optimizer step ``step`` (from 0) are at hand."""

    def supply(self, step: int, stop: Stop) -> Figures | None:
        """Get them; what there is to log of it, or None when it could not be done now (`waiting`, or ``stop``)."""

    def micro_batches(self, step: int, batch_size: int, accumulate: int) -> list[Micro[Any]]:
        """The micro-batches behind optimizer step ``step``."""

    def batches(self, micro: Micro[Any]) -> Iterator[Batch | Steps]:
        """A micro-batch in parts that fit into memory, whose gradients add up."""
