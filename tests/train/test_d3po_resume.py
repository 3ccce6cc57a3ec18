"""Rounds that are stopped anywhere go on where they were."""

from __future__ import annotations

import os
import shutil
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from support.d3po import PROMPTS, make_tree, prepared, recipe_of, run, shift
from support.training import PRELOADED
from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.rollout import rounds, shards
from tastemaker.score.table import build
from tastemaker.train import d3po as verb
from tastemaker.train import online, studio
from tastemaker.train.ranks import Ranks
from tastemaker.train.signals import Stop

WEIGHTS = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_tree(tmp_path_factory.mktemp("d3po"))


@pytest.fixture(scope="module")
def whole(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was not stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert run(tree, out)["steps"] == 6
    return out


def same_run(one: Path, other: Path) -> None:
    assert files.sha256_file(one / WEIGHTS) == files.sha256_file(other / WEIGHTS)
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    for number in range(3):
        for name in (rounds.CHOICES, rounds.ROLLOUTS, rounds.REWARDS):
            sha = [files.sha256_file(rounds.path_of(run, number) / name) for run in (one, other)]
            assert sha[0] == sha[1]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after_a_shard() -> None:
    """The second round's first shard is on disk."""
    whole, calls = shards.write, []

    def write(*given: Any) -> None:
        calls.append(whole(*given))
        if len(calls) == 3:
            _die()

    shards.write = write


def _before_the_choices() -> None:
    """The second round is drawn and has scores, but no choices."""
    whole = rounds.write

    def write(round: Any, *rest: Any, **named: Any) -> None:
        _die() if round.number == 1 else whole(round, *rest, **named)

    rounds.write = write


def _in_the_choices() -> None:
    """The second round has its comparisons but no summary."""
    whole = studio.summary.finish

    def finish(folder: Path, name: str, *rest: Any, **facts: Any) -> Any:
        _die() if name == "d3po round" and facts["number"] == 1 else None
        return whole(folder, name, *rest, **facts)

    studio.summary.finish = finish


def _in_the_middle_of_a_round() -> None:
    """The checkpoint after the third of six updates is there, the fourth was not begun."""
    whole = online.Online.micro_batches

    def micro_batches(self: Any, step: int, *rest: Any) -> Any:
        return _die() if step == 3 else whole(self, step, *rest)

    online.Online.micro_batches = micro_batches  # type: ignore[method-assign]


MOMENTS = {
    "after a shard": _after_a_shard,
    "before the choices": _before_the_choices,
    "in the choices": _in_the_choices,
    "in the middle of a round": _in_the_middle_of_a_round,
}


def _child(tree: dict[str, Any], out: str, moment: str) -> None:
    torch.set_num_threads(1)
    MOMENTS[moment]()
    run(tree, Path(out))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_ends_in_the_same_bits(tree: dict[str, Any], whole: Path, tmp_path: Path, moment: str) -> None:
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    child = context.Process(target=_child, args=(tree, str(tmp_path / "run"), moment))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    assert run(tree, tmp_path / "run")["steps"] == 6
    same_run(whole, tmp_path / "run")


def test_a_finished_run_is_left_alone_and_other_settings_are_refused(tree: dict[str, Any], whole: Path) -> None:
    before = (whole / "metrics.jsonl").stat().st_mtime_ns
    assert run(tree, whole)["steps"] == 6
    assert (whole / "metrics.jsonl").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="holds the output of other inputs or settings"):
        run(tree, whole, train={"lr": 2e-3})


def test_a_stopped_run_of_other_settings_is_named(tree: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    people = tree | {"feedback": {"kind": "file"}}
    assert "waiting" in run(people, out)
    with pytest.raises(UserError, match=r"holds a stopped run of .*feedback.kind: file \(now scorer\)"):
        run(tree, out)


def test_trajectories_that_are_gone_in_the_middle_of_a_round_are_told(tree: dict[str, Any], tmp_path: Path) -> None:
    task = prepared(tree, tmp_path)
    shutil.rmtree(rounds.path_of(tmp_path, 0) / shards.FOLDER)
    with pytest.raises(UserError, match=r"round-000/trajectories: gone, but the newest checkpoint is in the middle"):
        task.source.supply(1, Stop())


def test_what_another_policy_drew_is_drawn_again(tree: dict[str, Any], tmp_path: Path) -> None:
    task = prepared(tree, tmp_path)
    first = files.read_json(rounds.path_of(tmp_path, 0) / "summary.json")["figures"]
    shift(task, 0.3)
    task.source.supply(0, Stop())
    again = files.read_json(rounds.path_of(tmp_path, 0) / "summary.json")["figures"]
    assert first != again


def test_a_signal_while_sampling_stops_between_two_batches(tree: dict[str, Any], tmp_path: Path) -> None:
    task = verb.prepare(recipe_of(tree, tmp_path), "mark", PROMPTS, Ranks(), "cpu", build)
    stop = Stop()
    stop.signum = signal.SIGTERM
    assert task.source.supply(0, stop) is None
    assert task.source.waiting is None
