from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from tastemaker.train import optimizer, scaling
from tastemaker.train.config import Settings

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


def half_step(weight: Parameter, factor: float, scaler: torch.amp.GradScaler) -> Tensor:
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
