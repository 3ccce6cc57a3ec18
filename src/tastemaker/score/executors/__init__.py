"""Who carries out the blocks of a run: processes of this machine, the ranks of torchrun, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Literal, Protocol, cast

from tastemaker.base.errors import UserError
from tastemaker.score.blocks import Block, Job

Name = Literal["auto", "local", "torchrun", "ray"]
Tick = Callable[[int], object]
"""Told of rows that are done."""
EXECUTORS = {"local": "local:Local", "torchrun": "ranks:Ranks", "ray": "ray_data:RayData"}


class Executor(Protocol):
    """Carries out blocks; each is written when it is done, in no particular order."""

    main: bool
    """Whether this process plans, collects and reports."""
    workers: int
    """How many blocks are in work at a time, over all processes."""

    def meet(self) -> None:
        """Wait until every process of the run has come so far."""

    def share(self, blocks: Iterable[Block]) -> Iterable[Block]:
        """Those of the blocks that this process sees to."""

    def run(self, job: Job, blocks: Iterable[Block], tick: Tick) -> None:
        """Carry out ``blocks``; raises the `UserError` of the first that fails."""

    def close(self) -> None:
        """The run is over."""


def executor(name: Name = "auto", workers: int | None = None) -> Executor:
    """The executor ``name`` with ``workers`` processes; ``auto`` is torchrun's ranks under torchrun, else local.

    ``workers`` None is one local process, torchrun's world, or one for each GPU (without GPUs: CPU) of a Ray cluster.
    """
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    under_torchrun = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if name == "auto":
        name = "torchrun" if under_torchrun else "local"
    if name != "torchrun" and under_torchrun:
        raise UserError(f"--executor {name}: torchrun has started several processes; leave one of the two out")
    if name not in EXECUTORS:
        raise UserError(f"--executor {name}: say auto, {', '.join(EXECUTORS)}")
    module, _, cls = EXECUTORS[name].partition(":")
    return cast(Executor, getattr(import_module(f"{__name__}.{module}"), cls)(workers))
