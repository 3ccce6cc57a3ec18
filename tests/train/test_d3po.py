"""Online rounds: what is trained, what it costs in memory, and that a run goes on wherever it was stopped."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from support.alive import Alive
from support.d3po import PROMPTS, lines, make_tree, recipe_of, run
from support.training import PRELOADED
from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.data.store import ImageStore, read_comparisons
from tastemaker.evaluate.journal import read_table
from tastemaker.method.evidence import Transition
from tastemaker.method.memory import Memory
from tastemaker.rollout import rounds, shards
from tastemaker.score.table import build
from tastemaker.train import checkpoint, online, studio
from tastemaker.train import d3po as verb
from tastemaker.train.ranks import Ranks
from tastemaker.train.run import Task
from tastemaker.train.signals import Stop
from tastemaker.train.step import step as judge

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


def prepared(tree: dict[str, Any], out: Path, **sections: Any) -> Task:
    """A task whose first round is loaded."""
    task = verb.prepare(recipe_of(tree, out, **sections), "mark", PROMPTS, Ranks(), "cpu", build)
    assert task.source.supply(0, Stop()) is not None
    return task


def shift(task: Task, size: float = 0.05) -> None:
    """Weights that are not the reference's."""
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in task.trainable.parameters.values():
            parameter.add_(size * torch.randn(parameter.shape, generator=random))


def outcomes(task: Task, step: int = 0) -> list[Any]:
    """(batch, outcome) of every part of an optimizer step."""
    method, backbone = task.recipe.method, task.backbone
    memory = Memory(method, backbone.schedule, backbone.head, backbone.device)
    settings = task.recipe.train
    micros = task.source.micro_batches(step, settings.batch_size, settings.accumulate)
    parts = [part for micro in micros for part in task.source.batches(micro)]
    return [(part, judge(backbone, task.trainable, part, method, memory, 0)) for part in parts]


def gradients(task: Task) -> dict[str, torch.Tensor]:
    """Of the first optimizer step, as the loop adds them up."""
    for parameter in task.trainable.parameters.values():
        parameter.grad = None
    pairs = task.recipe.train.pairs_a_step
    for part, outcome in outcomes(task):
        (outcome.loss.sum() * part.share / pairs).backward()
    return {name: parameter.grad.clone() for name, parameter in task.trainable.parameters.items()}  # type: ignore[union-attr]


def test_before_the_first_update_every_ratio_is_1(tree: dict[str, Any], tmp_path: Path) -> None:
    """With log π_r from sampling to rounding; with a forward pass of the reference in the same batch exactly."""
    task = prepared(tree, tmp_path)
    for part, outcome in outcomes(task):
        assert part.reference is not None
        assert outcome.stats["margin"].abs().max() < 1e-5
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
    """−log σ(β (clamp(log π_θ − log π_r)_w − clamp(…)_l)) of every step, from the densities alone, β = 0.1."""
    task = prepared(tree, tmp_path)
    shift(task, 0.3)
    low, high = math.log(0.9), math.log(1.1)
    clipped = 0.0
    for part, outcome in outcomes(task):
        with torch.no_grad():
            winner, loser = (part.log_prob(2) - part.reference).chunk(2)
        inner = 0.1 * (winner.clamp(low, high) - loser.clamp(low, high))
        torch.testing.assert_close(outcome.loss.detach(), torch.log1p(torch.exp(-inner)), rtol=1e-4, atol=1e-6)
        cut = [((side < low) | (side > high)).float() for side in (winner, loser)]
        torch.testing.assert_close(outcome.stats["clipped"], sum(cut) / 2)
        wrong = ((winner < low).float() + (loser > high).float()) / 2
        torch.testing.assert_close(outcome.stats["clipped_wrong"], wrong)
        clipped += float(outcome.stats["clipped"].sum())
    assert clipped > 0, "nothing was clipped, so the clip was not looked at"


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


def test_raising_the_winners_likelihood_lowers_the_loss(tree: dict[str, Any], tmp_path: Path) -> None:
    """The gradient goes by ∂L/∂log π_w < 0 < ∂L/∂log π_l: a small step along −∇ raises the margin."""
    task = prepared(tree, tmp_path, adapter={"rank": 4})
    shift(task, 0.01)
    before = torch.cat([outcome.stats["margin"] for _, outcome in outcomes(task)]).mean()
    slope = gradients(task)
    norm = math.sqrt(sum(float(value.square().sum()) for value in slope.values()))
    with torch.no_grad():
        for name, parameter in task.trainable.parameters.items():
            parameter.sub_(slope[name] * (1e-2 / norm))
    after = torch.cat([outcome.stats["margin"] for _, outcome in outcomes(task)]).mean()
    assert after > before


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


D3PO = {"credit": {"correction": {"kind": "ratio-clip"}}, "link": {"kind": "logistic", "beta": 0.2}}


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


def test_a_round_is_a_data_folder(whole: Path) -> None:
    folder = rounds.path_of(whole, 1)
    comparisons, store = read_comparisons(folder), ImageStore(folder)
    assert {image for one in comparisons for image in one.images} <= set(store.shas)
    assert len(comparisons) == 9, "three pairs of three images for three prompts"
    assert {one.judge for one in comparisons} == {"scorer, jpeg-size"}
    rollouts = read_table(folder / rounds.ROLLOUTS).to_pylist()
    assert [(row["prompt_index"], row["sample"]) for row in rollouts] == [(p, s) for p in range(3) for s in range(3)]
    sizes = {row["sha"]: len(store.read(row["sha"])) for row in rollouts}
    assert len(sizes) > 1
    rewards = read_table(folder / rounds.REWARDS).to_pylist()
    raw = {(row["prompt_index"], row["sample"]): row["raw"] for row in rewards}
    for choice in rounds.read_choices(folder):
        a, b = raw[choice.prompt, choice.a], raw[choice.prompt, choice.b]
        assert choice.label == ("a" if a > b else "b" if b > a else "tie")


def test_what_is_logged(whole: Path) -> None:
    found = lines(whole)
    assert [line["step"] for line in found if "round" in line] == [0, 2, 4]
    assert [line["step"] for line in found if "loss" in line] == [1, 2, 3, 4, 5, 6]
    first = found[0]
    assert first.keys() == {"step", "pairs_seen", "round", "reward/jpeg-size", "diversity", "comparisons", "ties"}
    assert first["diversity"] > 0
    trained = next(line for line in found if "loss" in line)
    assert {"margin", "accuracy", "clipped", "clipped_wrong", "ratio_winner", "ratio_loser", "t"} <= trained.keys()


def test_old_trajectories_go_and_the_rest_stays(whole: Path) -> None:
    there = [(rounds.path_of(whole, number) / shards.FOLDER).exists() for number in range(3)]
    assert there == [False, True, True]
    assert all((rounds.path_of(whole, number) / rounds.GRID).is_file() for number in range(3))


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


def test_people_are_waited_for_and_their_choices_trained_on(tree: dict[str, Any], tmp_path: Path) -> None:
    people, out = tree | {"feedback": {"kind": "file"}}, tmp_path / "run"
    for number in range(3):
        told = run(people, out)
        assert (
            told["waiting"]
            == f"{rounds.path_of(out, number)}: choices.csv: no label yet; fill it in and run the same command again"
        )
        assert told["steps"] == 2 * number
        table = rounds.path_of(out, number) / "choices.csv"
        rows = table.read_text().splitlines()
        table.write_text("\n".join([rows[0], *(row + "ab"[at % 2] for at, row in enumerate(rows[1:]))]) + "\n")
    assert run(people, out)["steps"] == 6
    assert [line["step"] for line in lines(out) if "round" in line] == [0, 2, 4]
    assert {one.judge for one in read_comparisons(rounds.path_of(out, 0))} == {"file"}


def test_rounds_without_a_decision_are_told(tree: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"round-000: none of 9 comparisons was decided, so there is nothing to learn"):
        run(tree, tmp_path, feedback={"tie": 1e6})


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


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"rollout": {"prompts": "nowhere.txt"}}, r"rollout.prompts: nowhere.txt: no such file"),
        ({"rollout": {"steps": 1001}}, r"rollout.steps: 1001: this model's noise process has 1000"),
        ({"feedback": {"scorers": ["no-such"]}}, r"scorer 'no-such' is unknown"),
        ({"rounds": {"watch": ["jpeg-size:quality=0"]}}, r"quality=0"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_written(
    tree: dict[str, Any], tmp_path: Path, sections: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        run(tree, tmp_path / "run", **sections)
    assert not (tmp_path / "run" / "rounds").exists()
