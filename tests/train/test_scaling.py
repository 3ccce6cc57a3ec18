from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.amp import GradScaler
from torch.nn import Parameter

from support.training import make_task, recipe_of
from tastemaker.train import checkpoint, optimizer, scaling
from tastemaker.train.config import Settings
from tastemaker.train.training import train

CPU = torch.device("cpu")


def test_only_float16_is_scaled() -> None:
    for dtype in ("float32", "bfloat16"):
        scaler, loss = scaling.make(dtype, CPU), torch.tensor(2.0)
        assert scaler.scale(loss) is loss
        assert not scaling.overflowed(scaler)
        assert scaling.tensors(scaler) == {}
        scaling.load(scaler, {})
        scaler.update()
    assert scaling.make("float16", CPU).scale(torch.tensor(2.0)) == 2 * 65536


def half_step(weight: Parameter, factor: float, scaler: GradScaler) -> Tensor:
    """Gradients of factor·Σw through a float16 multiplication; returns their norm, unscaled."""
    moved = optimizer.make({"w": weight}, Settings())
    weight.grad = None
    loss = (weight.half() * factor).float().sum()
    scaler.scale(loss).backward()
    scaler.unscale_(moved)
    return optimizer.clip({"w": weight}, 0.0)


def test_small_gradients_survive_only_with_the_scale() -> None:
    """∂/∂w of 2⁻¹⁴·2⁻¹² w is 2⁻²⁶ in float16's backward pass, which rounds to 0 unless scaled by 2¹⁶."""
    norms = []
    for dtype in ("float32", "float16"):
        weight, scaler = Parameter(torch.ones(1)), scaling.make(dtype, CPU)
        moved = optimizer.make({"w": weight}, Settings())
        loss = (weight.half() * 2.0**-14).float().sum() * 2.0**-12
        scaler.scale(loss).backward()
        scaler.unscale_(moved)
        norms.append(optimizer.clip({"w": weight}, 0.0).item())
    assert norms == [0.0, 2.0**-26]


def test_an_overflow_halves_the_scale_and_good_steps_double_it() -> None:
    """8 · scale is past float16's 65504 down to a scale of 8192, where 4 · scale fits; 2000 such steps double it."""
    scaler, scales = scaling.make("float16", CPU), []
    weight = Parameter(torch.ones(1))
    for _ in range(3):
        norm = half_step(weight, 8.0, scaler)
        assert not norm.isfinite()
        assert scaling.overflowed(scaler)
        scaler.update()
        scales.append(scaler.get_scale())
    assert scales == [32768, 16384, 8192]
    assert half_step(weight, 4.0, scaler) == 4
    scaler.update()
    scaling.load(scaler, scaling.tensors(scaler) | {"good_steps": torch.tensor(1999.0)})
    half_step(weight, 4.0, scaler)
    scaler.update()
    assert scaler.get_scale() == 16384


def test_a_scale_of_one_is_not_to_blame() -> None:
    scaler = scaling.make("float16", CPU)
    for scale, blamed in ((2.0, True), (1.0, False), (0.5, False)):
        scaling.load(scaler, {"scale": torch.tensor(scale), "good_steps": torch.tensor(0.0)})
        assert scaling.overflowed(scaler) == blamed


@pytest.mark.parametrize("good_steps", [0, 3])
def test_a_restored_scaler_goes_on_the_same(good_steps: int) -> None:
    whole, weight = scaling.make("float16", CPU), Parameter(torch.ones(1))
    half_step(weight, 8.0, whole)
    whole.update()
    for _ in range(good_steps):
        half_step(weight, 1.0, whole)
        whole.update()
    restored = scaling.make("float16", CPU)
    scaling.load(restored, {name: value.clone() for name, value in scaling.tensors(whole).items()})
    for scaler in (whole, restored):
        half_step(weight, 1.0, scaler)
        scaler.update()
    assert scaling.tensors(whole) == scaling.tensors(restored)
    assert scaling.tensors(whole)["good_steps"] == good_steps + 1


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    tree = make_task(tmp_path_factory.mktemp("task"), pairs=10)
    return tree | {"data": tree["data"] | {"epochs": 1}}


def go(tree: dict[str, Any], out: Path, dtype: str) -> list[dict[str, Any]]:
    """Five steps of two pairs, each saved and logged; returns the log."""
    every = {"log_every": 1, "checkpoint_every": 1, "keep_checkpoints": 9}
    train(recipe_of(tree | {"dtype": dtype}, out, **every))
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def moments(out: Path, step: int) -> Tensor:
    tensors = load_file(checkpoint.path_of(out, step) / "optimizer.safetensors")
    return torch.cat([value.flatten() for name, value in tensors.items() if name.endswith("exp_avg")])


def test_a_float16_model_has_the_gradient_of_a_float32_one(tree: dict[str, Any], tmp_path: Path) -> None:
    """Up to the rounding of its activations, 5e-4 each; the scale is as it was, since nothing overflowed."""
    half, whole = go(tree, tmp_path / "half", "float16"), go(tree, tmp_path / "whole", "float32")
    assert [line["scale"] for line in half] == [65536] * 5
    assert all("scale" not in line for line in whole)
    found, expected = moments(tmp_path / "half", 1), moments(tmp_path / "whole", 1)
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 0.02 * expected.norm()


def test_an_overflow_skips_a_step_and_is_no_fault(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A scale of 2⁶⁰ overflows four times in a row, more than a run bears of true faults; a resume ends in the same."""

    def make(dtype: str, device: torch.device) -> GradScaler:
        return GradScaler(device.type, init_scale=2.0**60, backoff_factor=2.0**-12, growth_interval=2000)

    monkeypatch.setattr(scaling, "make", make)
    with caplog.at_level(logging.WARNING, "tastemaker"):
        logged = go(tree, tmp_path / "out", "float16")
    assert [record for record in caplog.records if record.name.startswith("tastemaker")] == []
    skipped = [json.loads(line) for line in (tmp_path / "out" / "skipped.jsonl").read_text().splitlines()]
    assert [(line["step"], line["reason"], line["pairs"]) for line in skipped] == [
        (n, "scale", []) for n in (1, 2, 3, 4)
    ]
    assert [line["scale"] for line in logged] == [2.0**48, 2.0**36, 2.0**24, 2.0**12, 2.0**12]
    assert "loss" not in logged[3]
    assert moments(tmp_path / "out", 5).norm() > 0

    shutil.copytree(tmp_path / "out", tmp_path / "again")
    for path in (tmp_path / "again" / "checkpoints").glob("step-00000[345]"):
        shutil.rmtree(path)
    (tmp_path / "again" / "summary.json").unlink()
    assert go(tree, tmp_path / "again", "float16") == logged
    for name in ("weights", "scaler", "optimizer"):
        files = [tmp_path / out / "checkpoints" / "step-000005" / f"{name}.safetensors" for out in ("out", "again")]
        assert files[0].read_bytes() == files[1].read_bytes(), name
