from __future__ import annotations

import errno
import logging
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from tastemaker.base.errors import UserError
from tastemaker.train import checkpoint
from tastemaker.train.checkpoint import Checkpoint, State


def at(step: int, size: int = 4) -> Checkpoint:
    tensors = {"weights": {"w": torch.full((size,), float(step))}, "optimizer": {"w/step": torch.tensor(float(step))}}
    return Checkpoint(State(step, 10 * step, 100 * step, "mark"), tensors)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, at(step), keep=2)
    return tmp_path


def steps(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def found(run: Path) -> Checkpoint:
    newest = checkpoint.newest(run)
    assert newest is not None
    return newest


def test_the_newest_comes_back_and_only_two_stay(run: Path) -> None:
    assert steps(run) == ["step-000002", "step-000003"]
    assert found(run).state == State(3, 30, 300, "mark")
    assert torch.equal(found(run).tensors["weights"]["w"], torch.full((4,), 3.0))
    assert found(run).tensors["optimizer"]["w/step"].shape == ()


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None


def truncate(folder: Path) -> None:
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def flip(folder: Path) -> None:
    file = folder / "optimizer.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


DAMAGES = {
    "weights.safetensors has changed": truncate,
    "optimizer.safetensors has changed": flip,
    "state.json is missing": lambda folder: (folder / "state.json").unlink(),
    "manifest.json is missing or unreadable": lambda folder: (folder / "manifest.json").write_text("{"),
    "manifest.json lists no state.json": lambda folder: (folder / "manifest.json").write_text("{}"),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_one_is_told_in_one_line_and_the_one_before_is_used(
    run: Path, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    DAMAGES[reason](checkpoint.path_of(run, 3))
    with caplog.at_level(logging.WARNING):
        assert found(run).state.step == 2
    assert len(caplog.messages) == 1
    assert reason in caplog.text
    assert "step-000003" in caplog.text


def test_a_damaged_one_is_replaced_when_the_run_comes_by_again(run: Path) -> None:
    truncate(checkpoint.path_of(run, 3))
    checkpoint.save(run, at(3), keep=2)
    assert found(run).state.step == 3


def test_a_temporary_folder_is_no_checkpoint(run: Path) -> None:
    checkpoint.path_of(run, 3).rename(run / "checkpoints" / ".tmp-1-step-000003")
    assert found(run).state.step == 2


def test_disk_full_keeps_the_last_good_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(UserError, match=r"step-000004: cannot be written \(No space left on device\); free some space"):
        checkpoint.save(run, at(4), keep=2)
    assert steps(run) == ["step-000002", "step-000003"]
    assert found(run).state.step == 3


@pytest.fixture
def small_files() -> Iterator[None]:
    """A real limit: no file may grow past 10 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_write_error_of_the_system_keeps_the_last_good_one(run: Path) -> None:
    with pytest.raises(UserError, match=r"weights.safetensors: cannot be written .*; free some space"):
        checkpoint.save(run, at(4, size=10_000), keep=2)
    assert steps(run) == ["step-000002", "step-000003"]
    assert found(run).state.step == 3
