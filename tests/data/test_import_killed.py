"""SIGKILL anywhere in an import: the next run ends in the same bytes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import killed_import
from support.pictures import contents, jpeg, row, truncated, write_pickapic
from tastemaker.base.errors import UserError
from tastemaker.data.importing import import_data

STEPS = 2 * 4 + 3 + 1  # four shards and their commits; two tables and the summary; the journal's end


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files with new and known images, repeats, and rows that are refused."""
    folder = tmp_path_factory.mktemp("killed") / "in"
    rows = [row(f"p{i % 7}", jpeg(i), jpeg(100 + i % 9), i % 2, user_id=i % 3) for i in range(36)]
    rows[5]["jpg_0"] = rows[20]["jpg_1"] = truncated()
    rows[9]["has_label"] = False
    rows[30] = {**rows[2]}
    for number in range(2):
        write_pickapic(folder / f"{number}.parquet", rows[18 * number :][:18], row_group_size=8)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(source: Path) -> dict[str, bytes]:
    out = source.parent / "whole"
    assert run(source, out, 0) == 0
    assert [*contents(out)] == [
        "comparisons.parquet",
        *(f"images/images-{number:05d}.parquet" for number in range(4)),
        "quarantine.jsonl",
    ]
    return contents(out)


def run(source: Path, out: Path, moment: int) -> int:
    command = [sys.executable, killed_import.__file__, str(source), str(out), str(moment)]
    return subprocess.run(command, check=False).returncode


@pytest.mark.parametrize("moment", [*range(1, STEPS + 1), -1, -2, -STEPS + 1])
def test_killed_and_resumed(source: Path, uninterrupted: dict[str, bytes], tmp_path: Path, moment: int) -> None:
    assert run(source, tmp_path / "out", moment) == -signal.SIGKILL
    assert run(source, tmp_path / "out", 0) == 0
    assert contents(tmp_path / "out") == uninterrupted


def test_that_was_every_step(source: Path, uninterrupted: dict[str, bytes], tmp_path: Path) -> None:
    assert run(source, tmp_path / "out", STEPS + 1) == 0


def test_killed_before_the_first_commit_and_run_with_other_inputs(source: Path, tmp_path: Path) -> None:
    assert run(source, tmp_path / "out", 1) == -signal.SIGKILL
    with pytest.raises(UserError, match="holds an unfinished import of other inputs"):
        import_data(str(source), tmp_path / "out", limit=1)


def test_killed_again_and_again(source: Path, uninterrupted: dict[str, bytes], tmp_path: Path) -> None:
    for moment in (2, -3, 4, 3, 1):
        assert run(source, tmp_path / "out", moment) == -signal.SIGKILL
    assert run(source, tmp_path / "out", 0) == 0
    assert contents(tmp_path / "out") == uninterrupted


@pytest.mark.slow
def test_killed_at_random_moments(source: Path, uninterrupted: dict[str, bytes], tmp_path: Path) -> None:
    moments = random.Random(0)
    command = [sys.executable, killed_import.__file__, str(source), str(tmp_path / "out"), "0"]
    for _ in range(8):
        with subprocess.Popen(command) as process:
            time.sleep(moments.uniform(0.2, 0.8))
            process.kill()
    assert run(source, tmp_path / "out", 0) == 0
    assert contents(tmp_path / "out") == uninterrupted
