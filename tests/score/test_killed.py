"""SIGKILL at every rename of a scoring run: the next run ends in the same bytes and repeats at most one shard."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support import killed_score
from support.datasets import png, sha, write_data
from tastemaker.data.comparison import Comparison
from tastemaker.score.scores import scores_folder

RENAMES = 4 + 3  # 10 rows are four shards; then quarantine, scores and summary


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    comparisons = [Comparison(f"pair-{red}", "cat", sha(red), sha(red + 1), "a") for red in range(9)]
    return write_data(tmp_path_factory.mktemp("killed") / "data", comparisons, [png(red) for red in range(10)])


@pytest.fixture(scope="module")
def uninterrupted(data: Path) -> dict[str, bytes]:
    whole = shutil.copytree(data, data.with_name("whole"))
    assert run(whole, 0) == 0
    assert not results(whole).keys() ^ {"scores.parquet", "quarantine.jsonl"}
    return results(whole)


def run(data: Path, moment: int) -> int:
    log = data.with_suffix(".log")
    command = [sys.executable, killed_score.__file__, str(data), str(log), str(moment)]
    return subprocess.run(command, check=False).returncode


def results(data: Path) -> dict[str, bytes]:
    folder = scores_folder(data, "red@1")
    return {name: (folder / name).read_bytes() for name in ("scores.parquet", "quarantine.jsonl")}


@pytest.mark.parametrize("moment", [*range(1, RENAMES + 1), -1, -4])
def test_killed_and_resumed(data: Path, uninterrupted: dict[str, bytes], moment: int) -> None:
    again = shutil.copytree(data, data.with_name(f"at{moment}"))
    assert run(again, moment) == -signal.SIGKILL
    assert run(again, 0) == 0
    assert results(again) == uninterrupted
    asked = Counter(again.with_suffix(".log").read_text().splitlines())
    assert len(asked) == 9  # red 5 never gets an answer
    assert sum(asked.values()) - len(asked) <= killed_score.SHARD_ROWS
    assert not list(scores_folder(again, "red@1").glob(".tmp-*"))


def test_that_was_every_rename(data: Path) -> None:
    last = shutil.copytree(data, data.with_name("last"))
    assert run(last, RENAMES + 1) == 0
