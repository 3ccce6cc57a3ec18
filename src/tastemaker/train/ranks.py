"""Several processes as one run: torchrun starts them, each reads its share of every step, gradients add up.

A step's micro-batches are dealt out like cards; what is computed of each depends on its pairs alone, so the sum over
all ranks is what one process would have computed, up to rounding, and is the same in every bit on every rank. Only the
main rank writes.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from tastemaker.train.config import Settings

T = TypeVar("T")
BUCKET = 25_000_000
"""Numbers that are sent in one piece."""
GONE = ("by peer", "Broken pipe", "Timed out")
"""What Gloo says when the other end of a connection is no more."""


@dataclass(frozen=True)
class Ranks:
    """This process's number among the run's processes; every rank calls the same methods in the same order."""

    rank: int = 0
    size: int = 1

    @property
    def main(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """This rank's part of what all ranks have: every ``size``-th item."""
        return list(items[self.rank :: self.size])

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks, in place; shapes, types and order are the same on all.

        A process alone does not even look at them.
        """
        if self.size > 1:
            for bucket in _buckets(tensors):
                flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
                _told(lambda flat=flat: dist.all_reduce(flat))
                for tensor, total in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
                    tensor.copy_(total.view_as(tensor))

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of ``tensor`` over the ranks, which it leaves as it is."""
        if self.size == 1:
            return tensor
        total = tensor.clone()
        self.sum([total])
        return total

    def gather(self, value: T) -> list[T]:
        """The small ``value`` of every rank, in their order, on all of them. This waits for the others."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        _told(lambda: dist.all_gather_object(values, value))
        return values


@contextmanager
def joined(settings: Settings) -> Iterator[tuple[Ranks, str]]:
    """The ranks that torchrun has started, and this one's device; a process that it did not start is alone.

    `auto` and `cuda` give each process of a machine a GPU of its own where there are GPUs.

    Raises:
        UserError: more processes than micro-batches a step, or than GPUs; inside, another rank has stopped.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(), settings.device
        return
    if size > settings.accumulate:
        raise UserError(
            f"train.accumulate: {settings.accumulate} micro-batches a step are too few for {size} processes; raise it "
            f"and lower train.batch_size, so that {settings.pairs_a_step} pairs still make a step"
        )
    device = _own(settings.device)
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Ranks(dist.get_rank(), size), device
    finally:
        dist.destroy_process_group()


def _own(device: str) -> str:
    gpus, number = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", "0"))
    if device not in ("auto", "cuda") or not gpus:
        return device
    if number >= gpus:
        raise UserError(f"torchrun: {number + 1} processes or more, but {gpus} GPUs here; give --nproc_per_node {gpus}")
    return f"cuda:{number}"


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type and place, at most `BUCKET` numbers unless one alone is larger."""
    for _, alike in itertools.groupby(tensors, key=lambda tensor: (tensor.dtype, tensor.device)):
        bucket: list[Tensor] = []
        filled = 0
        for tensor in alike:
            if bucket and filled + tensor.numel() > BUCKET:
                yield bucket
                bucket, filled = [], 0
            bucket.append(tensor)
            filled += tensor.numel()
        yield bucket


def _told(exchange: Any) -> None:
    """A rank that stops closes its connections: the others' exchange fails, and that is no bug of theirs."""
    try:
        exchange()
    except RuntimeError as error:  # Gloo's have no class of their own
        if isinstance(error, dist.DistError) or any(sign in str(error) for sign in GONE):
            raise UserError("another process of this run stopped; its own message says why") from error
        raise
