from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from support.models import save_tiny_sd
from support.training import make_task, recipe_of, write_cache, write_pairs
from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.train import loop
from tastemaker.train.training import train


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    task = make_task(tmp_path_factory.mktemp("task"), pairs=4)
    return task | {"data": task["data"] | {"epochs": 1}}


@pytest.fixture(scope="module")
def done(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "done"
    train(recipe_of(tree, out))
    return out


def test_summary_counts_what_was_done(done: Path) -> None:
    summary = json.loads((done / "summary.json").read_text())
    assert (summary["verb"], summary["steps"], summary["pairs_seen"]) == ("train", 2, 4)
    assert summary["last"]["loss"] > 0
    assert summary["weights"] == "pytorch_lora_weights.safetensors"


def test_a_finished_run_returns_at_once(tree: dict[str, Any], done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "finish", None)
    assert train(recipe_of(tree, done)) == json.loads((done / "summary.json").read_text())


def test_a_finished_run_with_other_settings_is_refused(tree: dict[str, Any], done: Path) -> None:
    with pytest.raises(UserError, match="holds the output of other inputs or settings; choose another"):
        train(recipe_of(tree, done, lr=1.0))


def test_a_finished_run_of_other_pairs_is_refused(tree: dict[str, Any], done: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path / "ranked", 3)
    with pytest.raises(UserError, match="holds the output of other inputs"):
        train(recipe_of(tree | {"data": tree["data"] | {"pairs": str(tmp_path / "ranked")}}, done))


def stopped(done: Path, out: Path) -> Path:
    shutil.copytree(done, out)
    (out / "summary.json").unlink()
    return out


def test_a_stopped_run_with_other_settings_is_refused_and_left_alone(
    tree: dict[str, Any], done: Path, tmp_path: Path
) -> None:
    out = stopped(done, tmp_path / "run")
    before = (out / "recipe.yaml").read_bytes()
    with pytest.raises(UserError, match=r"holds a stopped run of train.lr: 0.001 \(now 1.0\); choose another out"):
        train(recipe_of(tree, out, lr=1.0))
    assert (out / "recipe.yaml").read_bytes() == before


def test_a_stopped_run_goes_on_with_settings_that_decide_nothing(
    tree: dict[str, Any], done: Path, tmp_path: Path
) -> None:
    out = stopped(done, tmp_path / "run")
    train(recipe_of(tree, out, checkpoint_every=1, keep_checkpoints=5, device="cpu"))
    weights = "pytorch_lora_weights.safetensors"
    assert files.sha256_file(out / weights) == files.sha256_file(done / weights)


def test_two_runs_in_one_folder(tree: dict[str, Any], tmp_path: Path) -> None:
    with files.locked(tmp_path), pytest.raises(UserError, match="another process is working here"):
        train(recipe_of(tree, tmp_path))


def test_metrics_shorter_than_at_the_checkpoint_are_told(tree: dict[str, Any], done: Path, tmp_path: Path) -> None:
    out = stopped(done, tmp_path / "run")
    (out / "metrics.jsonl").write_text("")
    with pytest.raises(UserError, match=r"metrics.jsonl: shorter than the \d+ bytes it had at the checkpoint"):
        train(recipe_of(tree, out))


def given(tree: dict[str, Any], **data: Any) -> dict[str, Any]:
    return tree | {"data": tree["data"] | {name: str(value) for name, value in data.items()}}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("pairs", r"data.pairs: .*/nowhere/pairs.parquet: no such file; make it with: tastemaker rank DATA"),
        ("cache", r"data.cache: .*/nowhere/cache.json: no such file; make it with: tastemaker encode .*ranked --data"),
    ],
)
def test_missing_inputs_name_the_command(tree: dict[str, Any], tmp_path: Path, field: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(recipe_of(given(tree, **{field: tmp_path / "nowhere"}), tmp_path / "run"))


def test_a_missing_model_folder_is_told(tree: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model: .*/nowhere: no model_index.json here"):
        train(recipe_of(tree | {"model": str(tmp_path / "nowhere")}, tmp_path / "run"))


def test_a_cache_without_all_images_names_the_command(tree: dict[str, Any], tmp_path: Path) -> None:
    write_pairs(tmp_path / "ranked", 6)
    with pytest.raises(UserError, match=r"4 images of .*/ranked are not in it \(first: l4\); give a new folder"):
        train(recipe_of(given(tree, pairs=tmp_path / "ranked"), tmp_path / "run"))


def test_a_cache_without_all_prompts_names_the_command(tree: dict[str, Any], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(tree["data"]["cache"], cache)
    index = json.loads((cache / "cache.json").read_text())
    gone = index["prompts"].pop(files.sha256_text("a red circle"))
    (cache / "cache.json").write_text(json.dumps(index))
    assert gone
    with pytest.raises(UserError, match=r"1 prompts of .*give a new folder and make it with: tastemaker encode"):
        train(recipe_of(given(tree, cache=cache), tmp_path / "run"))


def test_a_cache_of_another_model_is_refused(tree: dict[str, Any], tmp_path: Path) -> None:
    write_cache(tmp_path / "cache", 4, "some/model", "some/model@1")
    with pytest.raises(UserError, match=r"encoded by some/model, not by .*; give another folder"):
        train(recipe_of(given(tree, cache=tmp_path / "cache"), tmp_path / "run"))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("link", ["logistic", "sft"])
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_methods_heads_and_adapters_all_train(kind: str, link: str, prediction_type: str, tmp_path: Path) -> None:
    model = save_tiny_sd(tmp_path / "model", prediction_type, tiny_vae=True)
    tree = make_task(tmp_path, pairs=2, model=model)
    tree |= {"adapter": {"kind": kind}, "method": {"link": {"kind": link}}}
    summary = train(recipe_of(tree, tmp_path / "run", ema=0.0))
    assert summary["steps"] == 2
    assert (tmp_path / "run" / summary["weights"]).exists()
    assert ("margin" in summary["last"]) == (link == "logistic")
