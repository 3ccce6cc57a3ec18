"""Rounds over several processes: the images, choices and weights of one, and nothing done twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from support.d3po import lines, make_tree, run
from support.ranks import codes, start_ranks
from tastemaker.base import files
from tastemaker.rollout import rounds, shards
from tastemaker.train import online, studio

WEIGHTS = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three prompts in batches of one, so that the ranks have two and one of them."""
    tree = make_tree(tmp_path_factory.mktemp("ranks"))
    return tree | {"rollout": tree["rollout"] | {"prompts_at_once": 1}}


def online_run(tree: dict[str, Any], out: Path, _: dict[str, Any]) -> None:
    run(tree, out)


@pytest.fixture(scope="module")
def alone(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "run"
    run(tree, out)
    return out


def _note_what_is_drawn(rank: int) -> None:
    whole = studio.shards.write

    def write(folder: Path, number: int, *rest: Any) -> None:
        with open(folder.parents[3] / f"drawn-{rank}.txt", "a") as file:
            file.write(f"{folder.parent.name} {number}\n")
        whole(folder, number, *rest)

    studio.shards.write = write


def test_two_ranks_draw_and_learn_what_one_does(tree: dict[str, Any], alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert codes(start_ranks(tree, out, sabotage=_note_what_is_drawn, work=online_run)) == [0, 0]
    drawn = [(tmp_path / f"drawn-{rank}.txt").read_text().splitlines() for rank in range(2)]
    assert (len(drawn[0]), len(drawn[1])) == (6, 3)
    assert len({*drawn[0], *drawn[1]}) == 9, "each batch by one rank, once"
    first = [files.sha256_file(rounds.path_of(one, 0) / rounds.ROLLOUTS) for one in (alone, out)]
    assert first[0] == first[1], "the first round is the same to the bit"
    weights = [load_file(one / WEIGHTS) for one in (alone, out)]
    for name, value in weights[0].items():
        assert_close(weights[1][name], value, rtol=1e-3, atol=1e-5)
    assert [line["step"] for line in lines(out)] == [line["step"] for line in lines(alone)]


def _stop_rank_1_in_the_second_round(rank: int) -> None:
    """Its own process gets SIGTERM before it draws."""
    whole = studio.Studio._draw

    def draw(self: Any, number: int, *rest: Any) -> None:
        if rank == 1 and number == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        whole(self, number, *rest)

    studio.Studio._draw = draw  # type: ignore[method-assign]


def _die_in_the_second_round(rank: int) -> None:
    """All are killed at the first step of the second round."""
    whole = online.Online.micro_batches

    def micro_batches(self: Any, step: int, *rest: Any) -> Any:
        if step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, step, *rest)

    online.Online.micro_batches = micro_batches  # type: ignore[method-assign]


def test_a_signal_to_one_stops_all_and_one_process_goes_on(tree: dict[str, Any], alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    stopped = codes(start_ranks(tree, out, sabotage=_stop_rank_1_in_the_second_round, work=online_run))
    assert stopped == [128 + signal.SIGTERM] * 2
    assert run(tree, out)["steps"] == 6
    assert [line["step"] for line in lines(out)] == [line["step"] for line in lines(alone)]


def test_killed_ranks_go_on_with_what_they_have_drawn(tree: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    killed = codes(start_ranks(tree, out, sabotage=_die_in_the_second_round, work=online_run))
    assert killed == [-signal.SIGKILL] * 2
    shard = shards.shard_path(rounds.path_of(out, 1) / shards.FOLDER, 0) / shards.TENSORS
    before = shard.stat().st_mtime_ns
    assert codes(start_ranks(tree, out, work=online_run)) == [0, 0]
    assert shard.stat().st_mtime_ns == before
    assert len([line for line in lines(out) if "round" in line]) == 3
