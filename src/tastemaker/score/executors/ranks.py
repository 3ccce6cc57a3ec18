"""The processes that torchrun has started, on one machine or several that share a file system.

Each sees to every ``size``-th block; nothing is sent between them. The first one plans, collects and reports.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta

import torch.distributed as dist

from tastemaker.base.errors import UserError
from tastemaker.score.blocks import Block, Job
from tastemaker.score.executors import Tick
from tastemaker.score.executors.local import use_gpu
from tastemaker.score.worker import Worker

PATIENCE = timedelta(days=7)
"""How long the fastest waits for the slowest; one that has died is noticed by torchrun."""


class Ranks:
    """This process among those of torchrun."""

    def __init__(self, workers: int | None = None) -> None:
        if "RANK" not in os.environ:
            raise UserError(
                "--executor torchrun: start it with torchrun --nproc_per_node N -m tastemaker.cli.app score …"
            )
        self._rank, self.workers = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if workers not in (None, self.workers):
            raise UserError(f"--workers {workers}: torchrun has started {self.workers}; leave --workers out")
        self.main = self._rank == 0
        dist.init_process_group("gloo", timeout=PATIENCE)

    def meet(self) -> None:
        """Wait for the others. Raises `UserError` when one of them is gone."""
        try:
            dist.barrier()
        except RuntimeError as error:  # Gloo's have no class of their own
            raise UserError("another process of this run stopped; its own message says why") from error

    def share(self, blocks: Iterable[Block]) -> Iterable[Block]:
        """Every ``size``-th block by its number, whichever are done."""
        return (block for block in blocks if block.number % self.workers == self._rank)

    def close(self) -> None:
        """Leave the others."""
        dist.destroy_process_group()

    def run(self, job: Job, blocks: Iterable[Block], tick: Tick) -> None:
        """Carry out this rank's ``blocks``."""
        use_gpu(int(os.environ.get("LOCAL_RANK", "0")))
        worker = Worker(job)
        for block in blocks:
            worker.carry_out(block, tick)
