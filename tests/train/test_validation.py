"""Held-out pairs: what is computed of them, when it is logged, and that they are held out."""

from __future__ import annotations

import dataclasses
import json
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from support.training import make_task, recipe_of
from tastemaker.base import draw, files
from tastemaker.base.errors import Diverged, UserError
from tastemaker.encode.cache import Cache
from tastemaker.rank.pairs import NAME, SCHEMA, read_pairs, write_pairs
from tastemaker.train import inputs, milestones, training
from tastemaker.train.batch import make_batch
from tastemaker.train.ranks import Ranks
from tastemaker.train.run import Task
from tastemaker.train.training import train
from tastemaker.train.validation import held_out, validate

FIGURES = {"validation_accuracy", "validation_margin"}
OFTEN = {"validate_every": 2, "log_every": 3, "checkpoint_every": 3}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Ten pairs to train on, once (five steps), and four that are held out."""
    folder = tmp_path_factory.mktemp("task")
    task = make_task(folder, pairs=14)
    table = pq.read_table(folder / "ranked" / NAME)
    for name, first, count in (("training", 0, 10), ("held-out", 10, 4)):
        save(folder / name, table.slice(first, count))
    data = {"pairs": str(folder / "training"), "validation": str(folder / "held-out"), "epochs": 1}
    return task | {"data": task["data"] | data}


def save(folder: Path, table: pa.Table) -> Path:
    folder.mkdir()
    write_pairs(folder / NAME, table, {})
    return folder


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(recipe_of(tree, out, **OFTEN))
    return out


def test_figures_stand_on_the_lines_of_their_steps_alone(whole: Path) -> None:
    assert [(line["step"], line.keys() >= FIGURES) for line in lines(whole)] == [
        (0, True),
        (2, True),
        (3, False),
        (4, True),
        (5, True),
    ]
    assert lines(whole)[0] == {"step": 0, "pairs_seen": 0, "validation_accuracy": 0.5, "validation_margin": 0.0}
    assert lines(whole)[-1]["validation_margin"] != 0


def test_without_an_interval_the_start_and_the_end_are_looked_at(tree: dict[str, Any], tmp_path: Path) -> None:
    train(recipe_of(tree, tmp_path, validate_every=0))
    assert [line["step"] for line in lines(tmp_path) if line.keys() >= FIGURES] == [0, 5]


def test_looking_changes_no_weight(tree: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    data = {name: value for name, value in tree["data"].items() if name != "validation"}
    train(recipe_of(tree | {"data": data}, tmp_path))
    weights = "pytorch_lora_weights.safetensors"
    assert files.sha256_file(tmp_path / weights) == files.sha256_file(whole / weights)
    assert not any(FIGURES & line.keys() for line in lines(tmp_path))


@pytest.mark.parametrize("step", [1, 4])
def test_a_resumed_run_logs_the_same_bytes(
    tree: dict[str, Any], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    def after_step(record: Any) -> None:
        if record.run.step == step:
            raise RuntimeError("pulled the plug")
        go_on(record)

    go_on = milestones.Record.after_step
    with monkeypatch.context() as patch:
        patch.setattr(milestones.Record, "after_step", after_step)
        with pytest.raises(RuntimeError, match="pulled the plug"):
            train(recipe_of(tree, tmp_path, **OFTEN))
    train(recipe_of(tree, tmp_path, **OFTEN))
    assert (tmp_path / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def prepared(tree: dict[str, Any], out: Path, **settings: Any) -> Task:
    recipe = recipe_of(tree, out, **settings)
    index = inputs.cache_index(Path(recipe.data.cache))
    return training.prepare(recipe, out, "mark", index, Ranks(), "cpu")


def shift(task: Task) -> None:
    """Weights that are not the reference's."""
    with torch.no_grad():
        for name, parameter in task.trainable.parameters.items():
            parameter.add_(0.1 * draw.normal(tuple(parameter.shape), name))


def by_hand(task: Task, pair: Any, reference: bool) -> float:
    """The mean of ten margins, one image and one step at a time."""
    batch = make_batch([pair], [0], task.source.cache, 0)
    margins = []
    for number, t in enumerate(range(50, 1000, 100)):
        eps = draw.normal(tuple(batch.winner.x0.shape[1:]), "validation", pair.pair_id, number)[None]
        costs = {}
        for role in ("policy", "reference"):
            for side, image in (("w", batch.winner), ("l", batch.loser)):
                step = torch.tensor([t])
                x_t = task.backbone.schedule.noised(image.x0, eps, step)
                with task.trainable.reference() if role == "reference" else nullcontext(), torch.no_grad():
                    p = task.backbone.forward(x_t, step, batch.condition | {"time_ids": image.time_ids})
                costs[role, side] = float((p.eps - eps).double().pow(2).mean())
        base = costs["reference", "w"] - costs["reference", "l"] if reference else 0.0
        margins.append(base - (costs["policy", "w"] - costs["policy", "l"]))
    return sum(margins) / 10


@pytest.fixture(scope="module")
def shifted(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Task:
    task = prepared(tree, tmp_path_factory.mktemp("runs"), batch_size=3)
    shift(task)
    return task


@pytest.mark.parametrize("reference", [True, False])
def test_figures_by_hand(tree: dict[str, Any], shifted: Task, reference: bool) -> None:
    task, pairs = shifted, read_pairs(Path(tree["data"]["validation"]))
    margins = [by_hand(task, pair, reference) for pair in pairs]
    assert len({margin > 0 for margin in margins}) == 2, "right and wrong pairs, or the accuracy is not tested"
    figures = validate(task, held_out(pairs, 99, reference, task.source.cache))
    assert figures["validation_margin"] == pytest.approx(sum(margins) / 4, rel=1e-3, abs=1e-6)
    assert figures["validation_accuracy"] == sum(margin > 0 for margin in margins) / 4


def test_neither_batch_size_nor_order_nor_seed_matter(tree: dict[str, Any], shifted: Task, tmp_path: Path) -> None:
    pairs = read_pairs(Path(tree["data"]["validation"]))
    other = dataclasses.replace(shifted, recipe=recipe_of(tree, tmp_path, batch_size=1, seed=7))
    found = validate(shifted, held_out(pairs, 99, True, shifted.source.cache))
    assert validate(other, held_out(pairs[::-1], 99, True, other.source.cache)) == pytest.approx(found, rel=1e-4)


def test_the_cap_takes_the_same_pairs_from_any_order(tree: dict[str, Any]) -> None:
    pairs, cache = read_pairs(Path(tree["data"]["pairs"])), Cache(Path(tree["data"]["cache"]))
    chosen = held_out(pairs, 4, True, cache).pairs
    assert chosen == held_out(pairs[::-1], 4, True, cache).pairs
    assert len(chosen) == 4
    assert list(chosen) != pairs[:4]
    assert {pair.pair_id for pair in chosen} < {pair.pair_id for pair in held_out(pairs, 6, True, cache).pairs}


def test_the_average_is_looked_at_where_there_is_one(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def look(task: Any, held: Any) -> dict[str, float]:
        run = records[-1].run
        seen.append(all(torch.equal(run.average[name], value) for name, value in task.trainable.parameters.items()))
        return {"validation_accuracy": 0.5, "validation_margin": 0.0}

    records: list[Any] = []
    whole = milestones.Record._validate
    monkeypatch.setattr(milestones, "validate", look)
    monkeypatch.setattr(milestones.Record, "_validate", lambda record: [records.append(record), whole(record)][1])
    train(recipe_of(tree, tmp_path, ema=0.9))
    assert seen == [True, True]


def test_full_training_without_a_reference_compares_errors(tree: dict[str, Any], tmp_path: Path) -> None:
    sft = tree | {"adapter": {"kind": "full"}, "method": {"link": {"kind": "sft"}}}
    train(recipe_of(sft, tmp_path, ema=0.0))
    assert lines(tmp_path)[0]["validation_margin"] != 0


def test_a_method_without_reference_is_still_compared_with_it(tree: dict[str, Any], tmp_path: Path) -> None:
    train(recipe_of(tree | {"method": {"link": {"kind": "sft"}}}, tmp_path))
    assert lines(tmp_path)[0]["validation_margin"] == 0
    assert lines(tmp_path)[-1]["validation_margin"] != 0


def test_a_broken_figure_stops_before_it_is_logged(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milestones, "validate", lambda *_: {"validation_accuracy": 0.5, "validation_margin": math.nan})
    with pytest.raises(
        Diverged, match="margin of the held-out pairs is not finite after step 0; no checkpoint was saved"
    ):
        train(recipe_of(tree, tmp_path))
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def with_held_out(tree: dict[str, Any], folder: Path, **columns: Any) -> dict[str, Any]:
    """One held-out pair whose row has other ``columns``."""
    row = pq.read_table(Path(tree["data"]["validation"]) / NAME).to_pylist()[0] | columns
    save(folder, pa.Table.from_pylist([row], SCHEMA))
    return tree | {"data": tree["data"] | {"validation": str(folder)}}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"pair_id": "pair-3"},
            r"pair-3 is trained on as well \(the pair or one of its images is in .*training\); rank",
        ),
        ({"loser": "w2"}, r"pair-10 is trained on as well"),
        ({"loser": None, "psi_loser": None}, r"pair-10 is a single image; validation compares pairs"),
        (
            {"winner": "unknown"},
            r"1 images of .*other are not in it \(first: unknown\); .* encode .*training .*other --",
        ),
    ],
)
def test_pairs_that_are_not_held_out_are_refused(
    tree: dict[str, Any], tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(recipe_of(with_held_out(tree, tmp_path / "other", **columns), tmp_path / "run"))


def test_a_missing_folder_is_told(tree: dict[str, Any], tmp_path: Path) -> None:
    data = tree["data"] | {"validation": str(tmp_path / "nowhere")}
    with pytest.raises(
        UserError, match=r"data.validation: .*nowhere/pairs.parquet: no such file; make it with: tastemaker"
    ):
        train(recipe_of(tree | {"data": data}, tmp_path / "run"))
