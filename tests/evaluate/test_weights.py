"""What `--model` and `--adapter` name: files, runs, and checkpoints in the middle of a run."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from support.models import save_tiny_sdxl
from support.training import make_task, recipe_of
from tastemaker.base.config import write_yaml
from tastemaker.base.errors import UserError
from tastemaker.evaluate import weights
from tastemaker.evaluate.generating import generate
from tastemaker.train import checkpoint
from tastemaker.train.training import train

LORA = "pytorch_lora_weights.safetensors"
FAST: dict[str, Any] = {"steps": 2, "guidance": 1.0, "resolution": 32}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_task(tmp_path_factory.mktemp("task"), pairs=4)


def run_of(tree: dict[str, Any], out: Path, adapter: dict[str, Any], **settings: Any) -> Path:
    """A run of four steps with a checkpoint after the second and the last."""
    train(recipe_of(tree | {"adapter": adapter}, out, lr=0.05, checkpoint_every=2, **settings))
    return out


@pytest.fixture(scope="module")
def lora(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rank 2 and alpha 4, so that a conversion that forgets alpha shows; with a moving average."""
    return run_of(tree, tmp_path_factory.mktemp("runs") / "lora", {"kind": "lora", "rank": 2, "alpha": 4}, ema=0.9)


def imitated(tree: dict[str, Any], out: Path, kind: str) -> Path:
    """The folder of a stopped run with two checkpoints of a single weight, which nothing here loads."""
    write_yaml(out / "recipe.yaml", recipe_of(tree | {"adapter": {"kind": kind}}, out))
    for number in (2, 4):
        tensors = {"weights": {"w": torch.full((3,), float(number))}, "average": {}}
        checkpoint.save(out, checkpoint.Checkpoint(checkpoint.State(number, number, 0, "x"), tensors), keep=2)
    return out


@pytest.fixture(scope="module")
def full(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tree, tmp_path_factory.mktemp("runs") / "full", {"kind": "full"}, ema=0.0)


def images(model: Path | str, out: Path, **settings: Any) -> np.ndarray:
    generate(model, ["a red circle", "a blue square"], out, **FAST | settings)
    assert sorted(path.name for path in out.iterdir() if path.name != ".lock") == [
        "grid.png", "images.parquet", "prompts.parquet", "settings.json", "summary.json"
    ]  # fmt: skip
    pngs = pq.read_table(out / "images.parquet")["png"].to_pylist()
    return np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pngs]).astype(int)


def step(run: Path, number: int) -> Path:
    return run / "checkpoints" / f"step-{number:06d}"


def handed_over(place: Path, model: str, folder: Path) -> bytes:
    """The adapter file that is made of a checkpoint, before it is cleared away."""
    return weights._handed_over(place, model, None, "float32", folder).read_bytes()


def test_the_last_checkpoint_is_what_the_run_handed_over(tree: dict[str, Any], lora: Path, tmp_path: Path) -> None:
    """Byte for byte, of the average; the one before is another adapter of the same layers."""
    last, earlier = (handed_over(step(lora, n), tree["model"], tmp_path / f"{n}") for n in (4, 2))
    assert last == (lora / LORA).read_bytes()
    assert earlier != last
    assert len(earlier) == len(last)


@pytest.mark.slow
@pytest.mark.parametrize(
    "adapter",
    [
        {"rank": 3, "rslora": True},
        {"rank": 2, "alpha": 1, "dora": True},
        {"start": "lora", "rank": None},
        {"rank": 2, "on": "lora", "on_scale": 0.5},
    ],
    ids=["rslora", "dora", "start", "on"],
)
def test_every_kind_of_adapter(tree: dict[str, Any], lora: Path, adapter: dict[str, Any], tmp_path: Path) -> None:
    places = {name: str(lora) for name in ("start", "on") if name in adapter}
    run = run_of(tree, tmp_path / "run", {"kind": "lora"} | adapter | places, ema=0.0)
    assert handed_over(step(run, 4), tree["model"], tmp_path / "made") == (run / LORA).read_bytes()


@pytest.mark.slow
def test_images_by_a_checkpoint(tree: dict[str, Any], lora: Path, tmp_path: Path) -> None:
    """Of the last step the very images of the run, of an earlier one others; a scale of 0 is the bare model."""
    base, model = images(tree["model"], tmp_path / "base"), tree["model"]
    by_run = images(model, tmp_path / "run", adapter=lora)
    by_last = images(model, tmp_path / "last", adapter=step(lora, 4))
    by_second = images(model, tmp_path / "second", adapter=step(lora, 2))
    np.testing.assert_array_equal(by_last, by_run)
    assert np.abs(by_second - by_run).max() > 1
    assert np.abs(by_second - base).max() > 1
    off = images(model, tmp_path / "off", adapter=step(lora, 2), adapter_scale=0.0)
    np.testing.assert_array_equal(off, base)


@pytest.mark.slow
def test_images_by_a_run_that_trained_all_weights(tree: dict[str, Any], full: Path, tmp_path: Path) -> None:
    by_run = images(full, tmp_path / "run")
    np.testing.assert_array_equal(by_run, images(full / "model", tmp_path / "model"))
    np.testing.assert_array_equal(by_run, images(step(full, 4), tmp_path / "last"))
    assert np.abs(by_run - images(step(full, 2), tmp_path / "second")).max() > 1
    assert np.abs(by_run - images(tree["model"], tmp_path / "base")).max() > 1


def test_a_finished_folder_is_recognised_by_the_checkpoint(
    tree: dict[str, Any], lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is moved draws the same; another step does not."""
    images(tree["model"], tmp_path / "out", adapter=step(lora, 2))
    moved = Path(shutil.copytree(lora, tmp_path / "moved"))
    monkeypatch.setattr("tastemaker.backbone.load.load", None)
    images(tree["model"], tmp_path / "out", adapter=step(moved, 2))
    with pytest.raises(UserError, match="drawn with adapter_sha"):
        images(tree["model"], tmp_path / "out", adapter=step(moved, 4))


def test_adapters_that_do_not_fit_are_one_line(tree: dict[str, Any], tmp_path: Path) -> None:
    lora, full = (imitated(tree, tmp_path / kind, kind) for kind in ("lora", "full"))
    stray = Path(shutil.copytree(step(lora, 2), tmp_path / "stray"))
    damaged = step(imitated(tree, tmp_path / "damaged", "lora"), 2)
    content = bytearray((damaged / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "weights.safetensors").write_bytes(content)
    for adapter, message in (
        (step(lora, 3), r"step-000003: no such file; give a LoRA file"),
        (step(lora, 2) / "weights.safetensors", r"weights\.safetensors: a part of a checkpoint; give its folder"),
        (lora / "checkpoints", r"checkpoints: holds 2 checkpoints; give one of them, such as .*step-000004"),
        (lora, r"the run is not finished; let tastemaker train go on .* such as .*step-000004"),
        (stray, r"stray: no recipe\.yaml two folders above it"),
        (damaged, r"step-000002: damaged checkpoint \(weights\.safetensors has changed\)"),
        (full, r"full: holds all weights of a model, not an adapter; give it as --model"),
        (step(full, 2), r"step-000002: holds all weights of a model, not an adapter; give it as --model"),
    ):
        with pytest.raises(UserError, match=message) as error:
            generate(tree["model"], ["a"], tmp_path / "out", adapter=adapter)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_models_that_do_not_fit_are_one_line(tree: dict[str, Any], tmp_path: Path) -> None:
    lora, full = (imitated(tree, tmp_path / kind, kind) for kind in ("lora", "full"))
    for model, message in (
        (lora, rf"lora: holds an adapter, not a model; give it as --adapter, with --model {tree['model']}"),
        (step(lora, 2), r"step-000002: holds an adapter, not a model; give it as --adapter, with --model"),
        (full, r"full: not finished, so it has no model/; let tastemaker train .* such as .*step-000004"),
    ):
        with pytest.raises(UserError, match=message):
            generate(model, ["a"], tmp_path / "out")


@pytest.mark.slow
def test_a_checkpoint_of_another_model_is_refused(lora: Path, tmp_path: Path) -> None:
    other = save_tiny_sdxl(tmp_path / "xl")
    with pytest.raises(UserError, match=r"step-000002: not weights of .*xl \(.*\); give the --model that the run"):
        generate(other, ["a"], tmp_path / "out", adapter=step(lora, 2), **FAST)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", "parts"]
