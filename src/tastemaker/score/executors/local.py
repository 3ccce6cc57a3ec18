"""Processes of this machine; with one, the run's own."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue

from tastemaker.base.errors import UserError
from tastemaker.score.blocks import Block, Job
from tastemaker.score.executors import Tick
from tastemaker.score.worker import Worker

AHEAD = 2
"""Blocks that wait for each worker; the rest is not made yet."""
_worker: Worker


class Local:
    """``workers`` processes, each with its own copy of the models, and a GPU of its own as far as there are."""

    main = True

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or 1

    def meet(self) -> None:
        """There is no other."""

    def share(self, blocks: Iterable[Block]) -> Iterable[Block]:
        """All of them."""
        return blocks

    def close(self) -> None:
        """Nothing is held."""

    def run(self, job: Job, blocks: Iterable[Block], tick: Tick) -> None:
        """Carry out ``blocks``. Raises `UserError` when one of the processes is killed."""
        if self.workers == 1:
            worker = Worker(job)
            for block in blocks:
                worker.carry_out(block, tick)
        else:
            self._in_processes(job, iter(blocks), tick)

    def _in_processes(self, job: Job, blocks: Iterable[Block], tick: Tick) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        numbers: Queue[int] = context.Queue()
        for number in range(self.workers):
            numbers.put(number)
        pool = ProcessPoolExecutor(self.workers, context, _begin, (job, numbers))
        try:
            _all(pool, blocks, self.workers * AHEAD, tick)
        except BrokenProcessPool:
            raise UserError(
                "a worker was killed, perhaps for want of memory; give the command again with fewer --workers or a "
                "smaller --batch-size, it goes on where it was"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _all(pool: ProcessPoolExecutor, blocks: Iterable[Block], ahead: int, tick: Tick) -> None:
    """Keep ``ahead`` blocks in the pool until there are no more."""
    coming = iter(blocks)
    waiting: set[Future[int]] = set()
    while True:
        waiting |= {pool.submit(_carry_out, block) for block in itertools.islice(coming, ahead - len(waiting))}
        if not waiting:
            return
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            tick(future.result())


def _begin(job: Job, numbers: Queue[int]) -> None:
    """Of a worker process. Ctrl-C goes to the whole group: the parent sees to it, and its end is the workers' end."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_gpu(numbers.get())
    _worker = Worker(job)


def use_gpu(number: int) -> None:
    """Make one of the GPUs this process's own; they are dealt out like cards."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent, "a worker is a child"
    parent.join()
    os._exit(1)


def _carry_out(block: Block) -> int:
    return _worker.carry_out(block)
