"""D3PO's step: what is learned from a pair's trajectories, and what it costs in memory."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from support.d3po import gradients, make_tree, outcomes, prepared, run, shift
from tastemaker.base.errors import UserError
from tastemaker.evaluate.journal import read_table
from tastemaker.method.evidence import Transition
from tastemaker.method.memory import Memory
from tastemaker.reproduce.d3po_peaks import Alive
from tastemaker.rollout import rounds, shards
from tastemaker.train import checkpoint
from tastemaker.train.signals import Stop
from tastemaker.train.step import step as judge


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_tree(tmp_path_factory.mktemp("d3po"))


def test_before_the_first_update_every_ratio_is_1(tree: dict[str, Any], tmp_path: Path) -> None:
    """With log π_r from sampling to rounding; with a forward pass of the reference in the same batch exactly."""
    task = prepared(tree, tmp_path)
    for part, outcome in outcomes(task):
        assert part.reference is not None
        assert max(outcome.stats[f"ratio_{side}"].abs().max() for side in ("winner", "loser")) < 1e-5
        asked = dataclasses.replace(part, reference=None)
        memory = Memory(task.recipe.method, task.backbone.schedule, task.backbone.head, task.backbone.device)
        exact = judge(task.backbone, task.trainable, asked, task.recipe.method, memory, 0)
        assert exact.stats["margin"].tolist() == [0.0] * len(part.pair_ids)
        assert torch.equal(exact.loss, torch.full_like(exact.loss, math.log(2)))


def test_the_kept_reference_is_what_the_reference_says(tree: dict[str, Any], tmp_path: Path) -> None:
    """After an update too: the kept numbers are the first model's, not the policy's."""
    task = prepared(tree, tmp_path)
    shift(task)
    for part, _ in outcomes(task):
        with torch.no_grad(), task.trainable.reference():
            torch.testing.assert_close(part.log_prob(2), part.reference, rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            assert (part.log_prob(2) - part.reference).abs().max() > 1e-4


def test_the_loss_is_the_published_one(tree: dict[str, Any], tmp_path: Path) -> None:
    """−log σ(β (clamp(ρ_w) − clamp(ρ_l))), β = 0.1, for ρ on all sides of log 0.9 = −0.105 and log 1.1 = 0.095."""
    task = prepared(tree, tmp_path)
    method, backbone = task.recipe.method, task.backbone
    low, high, sides = math.log(0.9), math.log(1.1), set[tuple[bool, ...]]()
    for part, _ in outcomes(task):
        rows = len(part.j)
        winner = torch.tensor([-0.2, -0.05, 0.03, 0.098, 0.3])[torch.arange(rows) % 5]
        loser = torch.tensor([0.2, -0.03, 0.3, -0.2])[torch.arange(rows) % 4]
        with torch.no_grad():
            known = part.log_prob(2) - torch.cat([winner, loser])
        memory = Memory(method, backbone.schedule, backbone.head, backbone.device)
        asked = dataclasses.replace(part, reference=known)
        outcome = judge(backbone, task.trainable, asked, method, memory, 0)
        inner = 0.1 * (winner.clamp(low, high) - loser.clamp(low, high))
        assert_close(outcome.loss.detach(), torch.log1p(torch.exp(-inner)), rtol=0, atol=1e-6)
        cut = [((side < low) | (side > high)).float() for side in (winner, loser)]
        assert_close(outcome.stats["clipped"], sum(cut) / 2)
        assert_close(outcome.stats["clipped_wrong"], ((winner < low).float() + (loser > high).float()) / 2)
        sides |= set(zip((winner < low).tolist(), (winner > high).tolist(), (loser > high).tolist(), strict=True))
    assert len(sides) >= 4


def test_a_margin_is_the_winners_minus_the_losers(tree: dict[str, Any], tmp_path: Path) -> None:
    """Every row has its pair's two trajectories, the preferred one first, each from its own state to its own action."""
    task = prepared(tree, tmp_path)
    folder = rounds.path_of(tmp_path, 0)
    reader = shards.Reader(folder / shards.FOLDER, 2 * 3)
    raw = {(row["prompt_index"], row["sample"]): row["raw"] for row in read_table(folder / rounds.REWARDS).to_pylist()}
    for part, _ in outcomes(task):
        places = [tuple(map(int, name.split("-")[1:])) for name in part.pair_ids]
        assert all(raw[prompt, winner] > raw[prompt, loser] for prompt, winner, loser in places)
        rows = [3 * p + w for p, w, _ in places] + [3 * p + loser for p, _, loser in places]
        both = torch.cat([part.j, part.j])
        assert torch.equal(part.before, reader.latents(rows, both))
        assert torch.equal(part.after, reader.latents(rows, both + 1))


def test_the_loop_moves_by_the_mean_over_steps(tree: dict[str, Any], tmp_path: Path) -> None:
    """AdamW's first moment after one step is a tenth of the gradient, whose scale the weights do not show."""
    exact = {"rounds": {"count": 1, "updates": 1}, "train": {"max_grad_norm": 0.0}}
    run(tree, tmp_path / "run", **exact)
    found = checkpoint.newest(tmp_path / "run")
    assert found is not None
    expected = gradients(prepared(tree, tmp_path / "by-hand", **exact))
    for name, value in expected.items():
        assert_close(found.tensors["optimizer"][f"{name}/exp_avg"], value / 10, rtol=1e-3, atol=1e-9)
    assert max(float(value.abs().max()) for value in expected.values()) > 1e-6


def test_a_step_raises_the_winners_likelihood_against_the_losers(tree: dict[str, Any], tmp_path: Path) -> None:
    """∂L/∂log π_w < 0 < ∂L/∂log π_l: a small step along −∇ raises log π_w − log π_l, asked of the densities."""
    task = prepared(tree, tmp_path, adapter={"rank": 4})
    shift(task, 0.01)
    slope = gradients(task)

    def advantage() -> float:
        with torch.no_grad():
            pairs = [part.log_prob(2).chunk(2) for part, _ in outcomes(task)]
        return float(torch.cat([winner - loser for winner, loser in pairs]).mean())

    before = advantage()
    norm = math.sqrt(sum(float(value.square().sum()) for value in slope.values()))
    with torch.no_grad():
        for name, parameter in task.trainable.parameters.items():
            parameter.sub_(slope[name] * (1e-2 / norm))
    assert advantage() > before


def test_steps_in_chunks_have_the_gradient_of_one_by_one(tree: dict[str, Any], tmp_path: Path) -> None:
    found = []
    for at_once, batch_size, accumulate in ((1, 1, 4), (4, 1, 4), (3, 2, 2), (4, 4, 1)):
        task = prepared(
            tree,
            tmp_path / f"{at_once}-{batch_size}",
            rounds={"steps_at_once": at_once},
            train={"batch_size": batch_size, "accumulate": accumulate},
        )
        shift(task)
        found.append(gradients(task))
    for other in found[1:]:
        for name, value in found[0].items():
            torch.testing.assert_close(other[name], value, rtol=0, atol=1e-6)
    assert max(float(value.abs().max()) for value in found[0].values()) > 1e-4


def test_memory_does_not_grow_with_the_number_of_steps(tree: dict[str, Any], tmp_path: Path) -> None:
    peaks = []
    for steps in (4, 16):
        task = prepared(tree, tmp_path / str(steps), rollout={"steps": steps}, train={"batch_size": 1, "accumulate": 1})
        micros = task.source.micro_batches(0, 1, 1)
        method, backbone = task.recipe.method, task.backbone
        memory = Memory(method, backbone.schedule, backbone.head, backbone.device)
        with Alive() as alive:
            for part in (part for micro in micros for part in task.source.batches(micro)):
                judge(backbone, task.trainable, part, method, memory, 0).loss.sum().backward()
        peaks.append(alive.most)
    assert peaks[1] == peaks[0] > 0


D3PO = {"credit": {"correction": {"kind": "ratio-clip"}}, "link": {"kind": "logistic", "beta": 0.2}}


def test_a_random_part_of_the_steps_is_read_another_at_each_visit(tree: dict[str, Any], tmp_path: Path) -> None:
    task = prepared(
        tree, tmp_path, method={"evidence": {"kind": "transition", "steps": 2}, **D3PO}, rounds={"updates": 40}
    )
    assert isinstance(task.recipe.method.evidence, Transition)
    read: dict[tuple[str, int], list[int]] = {}
    for step in range(40):
        for micro in task.source.micro_batches(step, 2, 2):
            for part in task.source.batches(micro):
                assert part.share == 0.5
                for pair, visit, j in zip(part.pair_ids, part.visits, part.j.tolist(), strict=True):
                    read.setdefault((pair, visit), []).append(j)
    assert {len(steps) for steps in read.values()} == {2}
    assert {tuple(sorted(set(steps))) for steps in read.values()} >= {(0, 1), (0, 3), (2, 3)}


def test_a_range_reads_its_steps_alone_and_an_empty_one_is_refused(tree: dict[str, Any], tmp_path: Path) -> None:
    def method(low: float, high: float) -> dict[str, Any]:
        when = {"kind": "range", "low": low, "high": high}
        return {"evidence": {"kind": "transition"}, "link": D3PO["link"], "credit": {"when": when}}

    task = prepared(tree, tmp_path / "some", method=method(0.4, 1.0))
    parts = [part for micro in task.source.micro_batches(0, 2, 2) for part in task.source.batches(micro)]
    assert {j for part in parts for j in part.j.tolist()} == {0, 1}, "t = 751 and 501 of 751, 501, 251, 1"
    with pytest.raises(UserError, match=r"method.credit.when: range: none of the 4 steps of a walk lies there"):
        prepared(tree, tmp_path / "none", method=method(0.3, 0.4))


def test_a_visit_comes_when_the_duels_have_run_out(tree: dict[str, Any], tmp_path: Path) -> None:
    task = prepared(tree, tmp_path, rounds={"updates": 40})
    seen = [
        (pair.pair_id, visit)
        for step in range(12)
        for micro in task.source.micro_batches(step, 2, 2)
        for pair, visit in zip(micro.pairs, micro.visits, strict=True)
    ]
    assert len(set(seen)) == 48, "no visit twice"
    count = len({pair for pair, _ in seen})
    assert [visit for _, visit in seen] == [at // count for at in range(48)]


def test_the_reference_is_the_first_model_in_every_round(tree: dict[str, Any], tmp_path: Path) -> None:
    """In the second round the policy has moved: ratios are taken against the adapter switched off, not kept numbers."""
    task = prepared(tree, tmp_path)
    shift(task)
    assert task.source.supply(2, Stop()) is not None
    for part, outcome in outcomes(task, 2):
        assert part.reference is None
        with torch.no_grad():
            policy = part.log_prob(2)
            with task.trainable.reference():
                reference = part.log_prob(2)
        winner, loser = (policy - reference).chunk(2)
        torch.testing.assert_close(outcome.stats["ratio_winner"], winner)
        torch.testing.assert_close(outcome.stats["ratio_loser"], loser)
        assert winner.abs().max() > 1e-4
