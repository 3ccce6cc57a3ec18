"""A run that is killed anywhere and resumed ends in the bits of one that was not."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

from support import training
from tastemaker.rank.pairs import NAME, write_pairs

WEIGHTS = "pytorch_lora_weights.safetensors"
PATIENCE = 120
"""Seconds that a child may take on a busy machine."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run with everything that has a state: a method with a memory, held-out pairs, steps that are skipped."""
    folder = tmp_path_factory.mktemp("task")
    task = training.make_task(folder, pairs=12)
    table = pq.read_table(folder / "ranked" / NAME)
    for name, first, count in (("training", 0, 10), ("held-out", 10, 2)):
        (folder / name).mkdir()
        write_pairs(folder / name / NAME, table.slice(first, count), {})
    break_an_image(folder / "cache" / "images-00000.safetensors")
    data = {"pairs": str(folder / "training"), "validation": str(folder / "held-out")}
    method = {"link": {"kind": "logistic", "beta": 200}, "credit": {"correction": {"kind": "stepwise"}}}
    return task | {"data": task["data"] | data, "method": method, "train": task["train"] | {"validate_every": 4}}


def break_an_image(shard: Path) -> None:
    """Give the sixth pair's winner a latent that is no number, so that its step is skipped in both epochs."""
    tensors = load_file(shard)
    tensors["mean"][10, 0, 0, 0] = math.nan
    save_file(tensors, shard)


@pytest.fixture(scope="module")
def whole(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of ten steps, with a metrics line every second and a checkpoint every third step."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert finish(tree, out) == 0
    assert (out / "skipped.jsonl").read_bytes().count(b"pair-5") == 2
    return out


def finish(tree: dict[str, Any], out: Path) -> int | None:
    child = training.start(tree, out)
    child.join(PATIENCE)
    return child.exitcode  # type: ignore[no-any-return]


def lines(out: Path) -> int:
    path = out / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait(until: Callable[[], bool], child: Any) -> None:
    limit = time.monotonic() + PATIENCE
    while not until() and child.is_alive() and time.monotonic() < limit:
        time.sleep(0.002)


def state(out: Path) -> dict[str, bytes]:
    """Weights, optimizer, average, the method's memory, position and the logs, byte by byte."""
    last = out / "checkpoints" / "step-000010"
    files = [*sorted(last.iterdir()), *(out / name for name in ("metrics.jsonl", "skipped.jsonl", WEIGHTS))]
    groups = ("weights", "optimizer", "average", "memory")
    assert {f"{group}.safetensors" for group in groups} <= {file.name for file in files}
    return {file.name: file.read_bytes() for file in files}


def training_seconds(whole: Path) -> float:
    return sum(json.loads(line)["seconds"] for line in (whole / "timing.jsonl").read_text().splitlines())


@pytest.mark.parametrize("number", range(5))
def test_killed_at_a_random_moment(number: int, tree: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    """The moment is drawn over the time that the whole run trained; metrics.jsonl appears when training begins."""
    delay = random.Random(number).random() * training_seconds(whole)
    child = training.start(tree, tmp_path)
    wait((tmp_path / "metrics.jsonl").exists, child)
    time.sleep(delay)
    child.kill()
    child.join()
    assert finish(tree, tmp_path) == 0
    assert state(tmp_path) == state(whole)


@pytest.mark.parametrize("moment", training.MOMENTS)
def test_killed_at_a_chosen_moment(moment: str, tree: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    child = training.start(tree, tmp_path, moment)
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL
    checkpoints = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert checkpoints[-1] == "step-000003", "the second checkpoint is not there"
    assert checkpoints[0].startswith(".tmp-"), "but what was written of it is"
    assert finish(tree, tmp_path) == 0
    assert not list((tmp_path / "checkpoints").glob(".tmp-*"))
    assert state(tmp_path) == state(whole)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_same_command_goes_on(
    signum: signal.Signals, code: int, tree: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    child = training.start(tree, tmp_path)
    wait(lambda: lines(tmp_path) >= 3, child)
    os.kill(child.pid, signum)
    child.join(PATIENCE)
    assert child.exitcode == code
    newest = max((tmp_path / "checkpoints").glob("step-*"))
    saved = json.loads((newest / "state.json").read_text())
    assert saved["step"] >= 4
    assert saved["step"] == 10 or not (tmp_path / "summary.json").exists()
    assert finish(tree, tmp_path) == 0
    assert state(tmp_path) == state(whole)


def test_a_truncated_checkpoint_falls_back_to_the_one_before(tree: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    child = training.start(tree, tmp_path, "after the third checkpoint")
    child.join(PATIENCE)
    newest = tmp_path / "checkpoints" / "step-000009"
    os.truncate(newest / "optimizer.safetensors", 100)
    assert finish(tree, tmp_path) == 0
    assert state(tmp_path) == state(whole)
