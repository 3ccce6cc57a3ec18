"""A small D3PO run that asks people in a browser, in this process or in one of its own that can be killed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from support.d3po import make_tree, run
from support.training import PRELOADED
from support.voters import people
from tastemaker.base import files
from tastemaker.base.errors import Interrupted
from tastemaker.rollout import rounds
from tastemaker.train import patience

WEIGHTS = "pytorch_lora_weights.safetensors"
POLL = 0.2


def small_tree(folder: Path) -> dict[str, Any]:
    """Two rounds of two prompts with three images each: at most six pairs a round."""
    small = {"rounds": {"count": 2, "prompts": 2, "updates": 2, "steps_at_once": 2, "watch": ["jpeg-size"]}}
    return make_tree(folder) | small | {"feedback": {"kind": "study", "poll_seconds": POLL}}


def whole_run(tree: dict[str, Any], out: Path) -> Path:
    """A run that was not stopped, with one person who answered all of it."""
    with people(out):
        assert run(tree, out)["steps"] == 4
    return out


def same_run(one: Path, other: Path) -> bool:
    names = [WEIGHTS, "metrics.jsonl"]
    names += [f"rounds/round-00{n}/{name}" for n in range(2) for name in (rounds.CHOICES, rounds.ROLLOUTS)]
    return [files.sha256_file(one / name) for name in names] == [files.sha256_file(other / name) for name in names]


def tell_of_the_pause(out: Path) -> None:
    """A file beside the run says that it waits."""
    whole = patience._pause

    def pause(*given: Any) -> None:
        out.with_suffix(".waits").touch()
        whole(*given)

    patience._pause = pause


def start(tree: dict[str, Any], out: Path, before: Callable[[], None] | None = None) -> Any:
    """The run in a process of its own, which calls ``before`` first."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    child = context.Process(target=_child, args=(tree, str(out), before), daemon=True)
    child.start()
    return child


def _child(tree: dict[str, Any], out: str, before: Callable[[], None] | None) -> None:
    torch.set_num_threads(1)
    tell_of_the_pause(Path(out))
    if before:
        before()
    try:
        run(tree, Path(out))
    except Interrupted as stop:
        sys.exit(128 + stop.signum)
