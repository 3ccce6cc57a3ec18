"""On a GPU nothing may be left on the CPU: tried on a real one where there is one, on a pretended one everywhere."""

from __future__ import annotations

import tempfile
import traceback
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from support import on_device, pretended

BEYOND_PRETENCE = ("train full", "train bfloat16", "train float16")
"""A whole model is written by diffusers, which reads a tensor's memory, and a pretended device has none; and there a
number beside a half-precision tensor counts as float32."""


@pytest.mark.gpu
@pytest.mark.parametrize("name", on_device.SCENARIOS)
def test_a_gpu_does_what_the_cpu_does(name: str, tmp_path: Path) -> None:
    on_device.SCENARIOS[name](tmp_path, "cuda")


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
    import torch

    torch.ones(2).to(device) + torch.ones(2)
