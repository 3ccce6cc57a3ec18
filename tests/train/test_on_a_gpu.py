"""On a GPU nothing may be left on the CPU: tried on a real one where there is one, on a pretended one everywhere."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch

from support import d3po as rounds
from support import on_device, pretended
from support.training import make_task, recipe_of
from tastemaker.train import loop
from tastemaker.train.training import train

BEYOND_PRETENCE = ("train full", "train bfloat16", "train float16")
"""A whole model is written by diffusers, which reads a tensor's memory, and a pretended device has none; and there a
number beside a half-precision tensor counts as float32."""


@pytest.mark.gpu
@pytest.mark.parametrize("name", on_device.SCENARIOS)
def test_a_gpu_does_what_the_cpu_does(name: str, tmp_path: Path) -> None:
    on_device.SCENARIOS[name](tmp_path, "cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["dpo", "dde", "kto", "d3po"])
def test_a_micro_step_waits_for_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the CPU would launch the next one only when the GPU is done with this."""
    seen: list[bool] = []
    monkeypatch.setattr(loop, "_micro_step", _unwaiting(loop._micro_step, seen))
    if name == "d3po":
        rounds.run(rounds.make_tree(tmp_path / "task"), tmp_path / "run", train={"device": "cuda"})
    else:
        tree = make_task(tmp_path / "task") | {"method": on_device.METHODS[name]}
        train(recipe_of(tree, tmp_path / "run", device="cuda"))
    assert len(seen) > 1


def _unwaiting(step: Callable[..., None], seen: list[bool]) -> Callable[..., None]:
    """``step`` that fails where it waits, but for the first, which also makes what the libraries need."""

    def watched(*args: Any) -> None:
        torch.cuda.set_sync_debug_mode("error" if seen else "default")
        try:
            step(*args)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        seen.append(True)

    return watched


@pytest.mark.slow(minutes=2)
def test_every_tensor_is_where_it_is_needed() -> None:
    names = [name for name in on_device.SCENARIOS if name not in BEYOND_PRETENCE]
    assert _errors(names) == {}


def test_a_tensor_that_was_left_behind_is_seen() -> None:
    assert "on the pretended device and on the CPU" in _errors(["left behind"])["left behind"]


def _errors(names: list[str]) -> dict[str, str]:
    """Scenario → its error, in a child: a process never forgets a pretended device."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_try, args=(names, theirs))
    child.start()
    theirs.close()
    try:
        found: dict[str, str] = ours.recv()
        return found
    finally:
        child.join()


def _try(names: list[str], pipe: Connection) -> None:
    pretended.register()
    found = {}
    for name in names:
        try:
            with tempfile.TemporaryDirectory() as folder, pretended.gpu():
                (on_device.SCENARIOS | {"left behind": _left_behind})[name](Path(folder), pretended.NAME)
        except BaseException:
            found[name] = traceback.format_exc()
    pipe.send(found)


def _left_behind(_: Path, device: str) -> None:
    torch.ones(2).to(device) + torch.ones(2)
