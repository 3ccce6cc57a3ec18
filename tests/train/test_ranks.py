"""Several processes are one run: same weights on each, same result as alone, no rank left hanging."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from support.ranks import codes, free_port, start_ranks
from support.training import make_task, recipe_of
from tastemaker.base.config import write_yaml
from tastemaker.base.errors import Interrupted, UserError
from tastemaker.rank.pairs import NAME, write_pairs
from tastemaker.train import checkpoint, loop, ranks
from tastemaker.train.ranks import Ranks, joined
from tastemaker.train.training import train

SETTINGS: dict[str, Any] = {
    "batch_size": 2,
    "accumulate": 4,
    "lr": 1e-3,
    "checkpoint_every": 2,
    "ema": 0.9,
    "log_every": 2,
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Nine pairs twice: steps of 8, 8 and 2, so that in the last one a rank has nothing to read. Three are held out."""
    folder = tmp_path_factory.mktemp("task")
    task = make_task(folder, pairs=12)
    table = pq.read_table(folder / "ranked" / NAME)
    for name, first, count in (("training", 0, 9), ("held-out", 9, 3)):
        (folder / name).mkdir()
        write_pairs(folder / name / NAME, table.slice(first, count), {})
    data = {"pairs": str(folder / "training"), "validation": str(folder / "held-out")}
    method = {"link": {"kind": "logistic", "beta": 200}, "credit": {"correction": {"kind": "stepwise"}}}
    return task | {"data": task["data"] | data, "method": method}


@pytest.fixture(scope="module")
def alone(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "alone"
    train(recipe_of(tree, out, **SETTINGS))
    return out


@pytest.fixture(scope="module")
def both(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "both"
    assert codes(start_ranks(tree, out, sabotage=_keep_weights, **SETTINGS)) == [0, 0]
    return out


def _keep_weights(rank: int) -> None:
    """Each rank leaves the state with which it ends beside the run's folder."""
    whole = loop.finish

    def finish(task: Any, run: Any) -> None:
        whole(task, run)
        state = {name: value.detach() for name, value in task.trainable.parameters.items()}
        state |= {f"average/{name}": value for name, value in run.average.items()}
        state |= {f"memory/{name}": value for name, value in run.memory.tensors().items()}
        torch.save(state, f"{task.out}-{rank}.pt")

    loop.finish = finish


def newest(out: Path) -> dict[str, dict[str, torch.Tensor]]:
    found = checkpoint.newest(out)
    assert found is not None
    return found.tensors


def assert_close(one: Path, other: Path) -> None:
    expected, found = newest(one), newest(other)
    for group in ("weights", "average", "memory"):
        assert expected[group].keys() == found[group].keys()
        for name, value in expected[group].items():
            torch.testing.assert_close(found[group][name], value, rtol=1e-4, atol=1e-6, msg=f"{group}/{name}")


def assert_same_lines(alone: Path, out: Path) -> None:
    found = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (alone, out)]
    assert [line["pairs_seen"] for line in found[1]] == [0, 16, 18]
    for one, other in zip(*found, strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-6)


def test_weights_average_and_memory_are_equal_bit_for_bit_between_ranks(both: Path) -> None:
    states = [torch.load(f"{both}-{rank}.pt", weights_only=True) for rank in range(2)]
    assert states[0].keys() == states[1].keys()
    assert any(name.startswith("memory/record") for name in states[0])
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_two_ranks_are_one_process_up_to_rounding(alone: Path, both: Path) -> None:
    assert_close(alone, both)
    assert_same_lines(alone, both)


def test_only_the_main_rank_writes(alone: Path, both: Path) -> None:
    assert {path.name for path in both.iterdir()} == {path.name for path in alone.iterdir()}
    assert len(list((both / "tensorboard").iterdir())) == 1


def test_a_finished_run_is_left_alone(tree: dict[str, Any], both: Path) -> None:
    before = (both / "summary.json").read_bytes()
    assert codes(start_ranks(tree, both, **SETTINGS)) == [0, 0]
    assert (both / "summary.json").read_bytes() == before


def test_a_signal_to_one_rank_stops_both_and_one_process_goes_on(
    tree: dict[str, Any], alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert codes(start_ranks(tree, out, sabotage=_signal_in_the_second_step, **SETTINGS)) == [143, 143]
    assert not (out / "summary.json").exists()
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step-000001"]
    train(recipe_of(tree, out, **SETTINGS))
    assert_close(alone, out)


def test_both_go_on_where_one_process_stopped(
    tree: dict[str, Any], alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a line of metrics, whose half from the checkpoint is counted once."""
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        calls, whole = iter(range(100)), loop.judge
        kill = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        patch.setattr(loop, "judge", lambda *given: (kill() if next(calls) == 5 else None, whole(*given))[1])
        with pytest.raises(Interrupted):
            train(recipe_of(tree, out, **SETTINGS))
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step-000001"]
    assert codes(start_ranks(tree, out, **SETTINGS)) == [0, 0]
    assert_close(alone, out)
    assert_same_lines(alone, out)


def _signal_in_the_second_step(rank: int) -> None:
    _at_third_call(rank, lambda: os.kill(os.getpid(), signal.SIGTERM))


def test_an_error_of_one_rank_ends_both(tree: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert codes(start_ranks(tree, out, sabotage=_fail_at_second_step, **SETTINGS)) == [2, 2]
    assert (tmp_path / "run-1.txt").read_text() == "a damaged shard"
    assert (tmp_path / "run-0.txt").read_text() == "another process of this run stopped; its own message says why"


def _fail_at_second_step(rank: int) -> None:
    def fail() -> None:
        raise UserError("a damaged shard")

    _at_third_call(rank, fail)


def _at_third_call(rank: int, happen: Callable[[], None]) -> None:
    """On rank 1, which reads two micro-batches a step, in the first of the second step."""
    calls, whole = iter(range(100)), loop.judge

    def judge(*arguments: Any) -> Any:
        if rank == 1 and next(calls) == 2:
            happen()
        return whole(*arguments)

    loop.judge = judge


def test_a_folder_in_use_ends_both(tree: dict[str, Any], tmp_path: Path) -> None:
    from tastemaker.base import files

    out = tmp_path / "run"
    with files.locked(out):
        assert codes(start_ranks(tree, out, **SETTINGS)) == [2, 2]
    assert "another process is working here" in (tmp_path / "run-0.txt").read_text()


def test_a_broken_loss_on_one_rank_skips_the_step_on_both(tree: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert codes(start_ranks(tree, out, sabotage=_break_a_pair, **SETTINGS)) == [0, 0]
    lines = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    assert [(line["step"], line["reason"], len(line["pairs"])) for line in lines] == [(1, "loss", 2)]


def _break_a_pair(rank: int) -> None:
    calls = iter(range(100))
    whole = loop.judge

    def judge(*arguments: Any) -> Any:
        outcome = whole(*arguments)
        factor = float("nan") if rank == 1 and next(calls) == 1 else 1.0
        return type(outcome)(outcome.loss * factor, outcome.stats)

    loop.judge = judge


@pytest.mark.slow
def test_torchrun_runs_the_command_line(tree: dict[str, Any], alone: Path, tmp_path: Path) -> None:
    out, recipe = tmp_path / "run", tmp_path / "recipe.yaml"
    write_yaml(recipe, recipe_of(tree, out, **SETTINGS))
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--master_port",
        str(free_port()),
    ]
    done = subprocess.run(
        [*torchrun, "-m", "tastemaker.cli.app", "train", str(recipe)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pairs_seen") == 1, "only the main rank reports"
    assert_close(alone, out)


def test_more_ranks_than_micro_batches_are_refused(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")
    message = (
        r"train.accumulate: 4 micro-batches a step are too few for 8 processes; raise it and lower train.batch_size"
    )
    with pytest.raises(UserError, match=message):
        train(recipe_of(tree, tmp_path, **SETTINGS))


def test_a_process_alone_shares_with_nobody(
    monkeypatch: pytest.MonkeyPatch, tree: dict[str, Any], tmp_path: Path
) -> None:
    with joined(recipe_of(tree, tmp_path, device="cpu").train) as (group, device):
        assert (group, device) == (Ranks(0, 1), "cpu")
        assert group.main
        assert group.share([1, 2, 3]) == [1, 2, 3]
        assert group.gather("me") == ["me"]
        tensor = torch.ones(2)
        assert group.total(tensor) is tensor


@pytest.mark.parametrize(("rank", "share"), [(0, [0, 3, 6]), (1, [1, 4]), (2, [2, 5])])
def test_items_are_dealt_out(rank: int, share: list[int]) -> None:
    assert Ranks(rank, 3).share(range(7)) == share


def test_buckets_hold_neighbours_of_a_type_up_to_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "BUCKET", 5)
    tensors = [torch.zeros(size) for size in (2, 3, 1, 9, 2)] + [torch.zeros(2, dtype=torch.int64)]
    found = [[tensor.numel() for tensor in bucket] for bucket in ranks._buckets(tensors)]
    assert found == [[2, 3], [1], [9], [2], [2]]
    assert [id(tensor) for bucket in ranks._buckets(tensors) for tensor in bucket] == list(map(id, tensors))
