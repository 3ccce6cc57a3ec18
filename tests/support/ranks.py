"""A run of several processes, as torchrun starts them, in children that are forked with the libraries loaded."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from support.training import PRELOADED, recipe_of

PATIENCE = 120
"""Seconds that a child may take on a busy machine."""


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def offline(tree: dict[str, Any], out: Path, train: dict[str, Any]) -> None:
    """Train on ranked pairs."""
    from tastemaker.train import training

    training.train(recipe_of(tree, out, **train))


def start_ranks(
    tree: dict[str, Any],
    out: Path,
    size: int = 2,
    sabotage: Callable[[int], None] | None = None,
    work: Callable[[dict[str, Any], Path, dict[str, Any]], object] = offline,
    **train: Any,
) -> list[Any]:
    """Start one process a rank that does ``work``; ``sabotage(rank)`` is called in it first."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    port = free_port()
    children = [
        context.Process(target=_child, args=(tree, str(out), train, rank, size, port, sabotage, work))
        for rank in range(size)
    ]
    for child in children:
        child.start()
    return children


def codes(children: list[Any]) -> list[int | None]:
    """Exit codes; a child that hangs has none and is killed."""
    for child in children:
        child.join(PATIENCE)
    found = [child.exitcode for child in children]
    for child in children:
        child.kill()
    return found


def _child(
    tree: dict[str, Any],
    out: str,
    train: dict[str, Any],
    rank: int,
    size: int,
    port: int,
    sabotage: Callable[[int], None] | None,
    work: Callable[[dict[str, Any], Path, dict[str, Any]], object],
) -> None:
    import torch

    from tastemaker.base.errors import Diverged, Interrupted, UserError

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if sabotage is not None:
        sabotage(rank)
    code = 0
    try:
        work(tree, Path(out), train)
    except Interrupted as stop:
        code = 128 + stop.signum
    except UserError as error:
        Path(f"{out}-{rank}.txt").write_text(str(error))
        code = 3 if isinstance(error, Diverged) else 2
    sys.exit(code)
