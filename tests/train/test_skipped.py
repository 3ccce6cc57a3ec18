"""Numbers that break: the step is skipped and told, three in a row stop the run, no checkpoint holds one."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from support.training import make_task, recipe_of
from tastemaker.base.errors import Diverged
from tastemaker.cli import app
from tastemaker.train import checkpoint, loop, offline, optimizer, scaling, skipped
from tastemaker.train.training import train

WEIGHTS = "pytorch_lora_weights.safetensors"
METHOD = {"link": {"kind": "pointwise", "beta": 200}, "credit": {"correction": {"kind": "stepwise"}}}
"""Both things that a method remembers: KTO's z0 and DDE's record."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    task = make_task(tmp_path_factory.mktemp("task"), pairs=8)
    return task | {"data": task["data"] | {"order": "sorted"}, "method": METHOD}


Poison = Callable[[Any, int], Any]
"""An outcome and the number of the call → the outcome that the loop gets."""


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[Poison], None]:
    """Change what the step returns, call by call (two pairs a call)."""

    def install(poison: Poison) -> None:
        calls, whole = iter(range(10**6)), judge

        monkeypatch.setattr(loop, "judge", lambda *arguments: poison(whole(*arguments), next(calls)))

    judge = loop.judge
    return install


def break_loss(outcome: Any, at: int = 0, value: float = math.nan) -> Any:
    factor = torch.ones_like(outcome.loss)
    factor[at] = value
    return type(outcome)(outcome.loss * factor, outcome.stats)


def break_gradient(outcome: Any) -> Any:
    loss = outcome.loss * 1
    loss.register_hook(lambda gradient: gradient * math.inf)
    return type(outcome)(loss, outcome.stats)


def break_figure(outcome: Any) -> Any:
    """A margin without bound, of which the loss sees nothing."""
    return type(outcome)(outcome.loss, outcome.stats | {"margin": torch.tensor([1.0, math.inf])})


def at(numbers: set[int], damage: Callable[[Any], Any]) -> Poison:
    return lambda outcome, call: damage(outcome) if call in numbers else outcome


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / skipped.NAME).read_text().splitlines()]


def short(tree: dict[str, Any], out: Path, pairs: int = 8, **settings: Any) -> dict[str, Any]:
    recipe = tree | {"data": tree["data"] | {"max_pairs": pairs}}
    return train(recipe_of(recipe, out, **{"log_every": 1, "checkpoint_every": 1, "keep_checkpoints": 9} | settings))


def state(out: Path, step: int) -> dict[str, bytes]:
    folder = checkpoint.path_of(out, step)
    return {file.name: file.read_bytes() for file in folder.glob("*.safetensors") if file.stem != "window"}


DAMAGES: dict[str, tuple[Callable[[Any], Any], str, list[str]]] = {
    "a loss": (lambda outcome: break_loss(outcome, 1), "loss", ["pair-3"]),
    "an infinite loss": (lambda outcome: break_loss(outcome, 0, math.inf), "loss", ["pair-2"]),
    "a figure": (break_figure, "loss", ["pair-3"]),
    "the gradient": (break_gradient, "gradient", ["pair-2", "pair-3"]),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_broken_step_moves_nothing_and_is_told(
    tree: dict[str, Any], tmp_path: Path, poisoned: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    damage, reason, pairs = DAMAGES[name]
    poisoned(at({1}, damage))
    with caplog.at_level(logging.WARNING, "tastemaker"):
        summary = short(tree, tmp_path, pairs=6)
    assert lines(tmp_path) == [{"step": 2, "pairs_seen": 4, "reason": reason, "pairs": pairs}]
    told = [record.getMessage() for record in caplog.records if record.name.startswith("tastemaker")]
    assert told == [f"{tmp_path}: step 2 skipped: {reason} not finite (pairs {', '.join(pairs)})"]
    assert state(tmp_path, 1) == state(tmp_path, 2), "weights, optimizer, average and memory are as they were"
    assert state(tmp_path, 2)["weights.safetensors"] != state(tmp_path, 3)["weights.safetensors"]
    assert (summary["skipped"], summary["steps"], summary["pairs_seen"]) == (1, 3, 6)
    metrics = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert metrics[1].keys() == {"step", "pairs_seen", "lr"}, "there is no mean over no pair"
    assert all(math.isfinite(value) for line in metrics for value in line.values())


def test_a_broken_latent_leaves_no_trace_in_the_memory(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = offline.make_batch

    def make_batch(pairs: Any, *rest: Any, **named: Any) -> Any:
        batch = whole(pairs, *rest, **named)
        if pairs[0].pair_id == "pair-2":
            batch.loser.x0[1, 0, 0, 0] = math.nan
        return batch

    monkeypatch.setattr(offline, "make_batch", make_batch)
    short(tree, tmp_path, pairs=6)
    assert [line["pairs"] for line in lines(tmp_path)] == [["pair-3"]]
    assert state(tmp_path, 1) == state(tmp_path, 2)
    assert checkpoint.newest(tmp_path).tensors["memory"]["trace"].isfinite().all()  # type: ignore[union-attr]


def test_means_leave_a_skipped_step_out(tree: dict[str, Any], tmp_path: Path, poisoned: Any) -> None:
    poisoned(at({1}, break_loss))
    short(tree, tmp_path / "each", pairs=6)
    poisoned(at({1}, break_loss))
    short(tree, tmp_path / "all", pairs=6, log_every=3)
    each = [json.loads(line) for line in (tmp_path / "each" / "metrics.jsonl").read_text().splitlines()]
    (line,) = [json.loads(line) for line in (tmp_path / "all" / "metrics.jsonl").read_text().splitlines()]
    assert line["loss"] == pytest.approx((each[0]["loss"] + each[2]["loss"]) / 2)


def test_three_in_a_row_stop_the_run(tree: dict[str, Any], tmp_path: Path, poisoned: Any) -> None:
    poisoned(at({1, 3, 4, 5}, break_loss))
    with pytest.raises(Diverged) as raised:
        short(tree, tmp_path, pairs=16)
    assert str(raised.value) == (
        f"{tmp_path}: 3 steps in a row were skipped because their loss or gradient is not finite, the last one step 6 "
        f"(pairs pair-2; all in skipped.jsonl); {tmp_path}/checkpoints/step-000005 is good; look at these pairs, "
        "or start again in another out with a lower train.lr (it is 0.001)"
    )
    assert [line["step"] for line in lines(tmp_path)] == [2, 4, 5, 6]
    assert not (tmp_path / WEIGHTS).exists()
    assert state(tmp_path, 5) == state(tmp_path, 3)


def test_overflows_of_the_scale_are_not_counted(
    tree: dict[str, Any], tmp_path: Path, poisoned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At scale 4 an infinite gradient is the scale's doing, at 2 as well; at 1 it is the model's."""
    monkeypatch.setattr(scaling, "make", lambda *_: torch.amp.GradScaler("cpu", init_scale=4.0))
    poisoned(at({1, 2, 3, 4, 5}, break_gradient))
    with pytest.raises(Diverged, match="the last one step 6"):
        short(tree, tmp_path, pairs=16)
    reasons = ["scale", "scale", "gradient", "gradient", "gradient"]
    assert [(line["step"], line["reason"]) for line in lines(tmp_path)] == list(enumerate(reasons, 2))
    assert skipped.count(tmp_path) == 3
    assert state(tmp_path, 1)["weights.safetensors"] == state(tmp_path, 3)["weights.safetensors"]
    scales = [
        load_file(checkpoint.path_of(tmp_path, step) / "scaler.safetensors")["scale"].item() for step in (1, 2, 3)
    ]
    assert scales == [4.0, 2.0, 1.0]


def test_diverging_is_exit_code_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: Any) -> int:
        raise Diverged("out/run: numbers broke")

    monkeypatch.setattr(app, "dispatch", fail)
    assert app.main(["train"]) == 3
    assert capsys.readouterr().err == "tastemaker: out/run: numbers broke\n"


def test_a_resumed_run_counts_on(tree: dict[str, Any], tmp_path: Path, poisoned: Any) -> None:
    """Stopped between the second and the third skip in a row; what was written after the checkpoint is cut off."""
    poisoned(at({0, 2, 3, 4}, break_loss))
    with pytest.raises(Diverged):
        short(tree, tmp_path / "whole", pairs=16)
    poisoned(at({0, 2, 3, 4}, break_loss))
    with pytest.raises(Diverged):
        short(tree, tmp_path / "run", pairs=16)
    assert checkpoint.newest(tmp_path / "run").state.skips == 2  # type: ignore[union-attr]
    poisoned(at({0}, break_loss))
    with pytest.raises(Diverged, match="step 5"):
        short(tree, tmp_path / "run", pairs=16)
    assert (tmp_path / "run" / skipped.NAME).read_bytes() == (tmp_path / "whole" / skipped.NAME).read_bytes()


def test_lines_after_the_checkpoint_are_cut_off(tmp_path: Path) -> None:
    first = skipped.append(tmp_path, 1, 2, "loss", ["a"])
    skipped.append(tmp_path, 2, 4, "loss", ["b"])
    skipped.cut(tmp_path, first)
    assert [line["pairs"] for line in lines(tmp_path)] == [["a"]]
    skipped.cut(tmp_path, 0)
    assert not (tmp_path / skipped.NAME).exists()
    assert skipped.count(tmp_path) == 0


def test_weights_that_break_in_the_update_reach_no_checkpoint(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient is finite, and still the update leaves the floats: what only a look at the weights finds."""
    whole, steps = optimizer.apply, iter(range(100))

    def apply(moved: Any, rate: float) -> None:
        whole(moved, rate)
        if next(steps) == 1:
            with torch.no_grad():
                moved.param_groups[0]["params"][0].view(-1)[0] = math.inf

    monkeypatch.setattr(optimizer, "apply", apply)
    with pytest.raises(
        Diverged, match=r"weights/.* is not finite after step 2, so no .*step-000001 is good; start again"
    ):
        short(tree, tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-000001"]


@pytest.mark.parametrize("group", ["weights", "optimizer", "average", "memory", "window"])
def test_no_group_of_a_checkpoint_may_hold_one(tmp_path: Path, group: str) -> None:
    tensors = {"weights": {"w": torch.ones(2)}, group: {"w": torch.tensor([1.0, math.nan])}}
    with pytest.raises(Diverged, match=rf"{group}/w is not finite after step 4, so .*; no checkpoint was saved"):
        checkpoint.save(tmp_path, checkpoint.Checkpoint(checkpoint.State(4, 8, 0, "mark"), tensors), 2)
    assert not (tmp_path / "checkpoints").exists()
