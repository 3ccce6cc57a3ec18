"""Steps of every optimizer by hand, and the clipping of the gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Parameter

from support.optimizers import EXTRAS, SHAPES, go, weights_of
from tastemaker.train import optimizer
from tastemaker.train.choice import Adafactor, AdamW
from tastemaker.train.config import Settings


def one(value: float, gradient: float, **settings: Any) -> tuple[float, float]:
    """Weight and reported norm after one update of a single weight."""
    chosen = Settings(lr=0.1, **settings)
    weights = {"w": Parameter(torch.tensor([value]))}
    moved = optimizer.make(weights, chosen)
    weights["w"].grad = torch.tensor([gradient])
    norm = optimizer.clip(weights, chosen.max_grad_norm)
    optimizer.apply(moved, chosen.lr)
    optimizer.clear(moved)
    assert weights["w"].grad is None
    return weights["w"].item(), norm.item()


def test_first_step_by_hand() -> None:
    """AdamW's first step is lr·g/(|g| + eps) after the decay: 1·(1 − 0.1·0.5) − 0.1 = 0.85, with eps = g half of it."""
    assert one(1.0, 3.0, optimizer=AdamW(weight_decay=0.5)) == (pytest.approx(0.85), pytest.approx(3.0))
    assert one(0.0, 3.0, optimizer=AdamW(eps=3.0), max_grad_norm=0.0)[0] == pytest.approx(-0.05)


def test_moments_by_hand() -> None:
    """After a gradient of 8: m = (1 − β₁) 8, v = (1 − β₂) 64."""
    weights = {"w": Parameter(torch.zeros(1))}
    moved = optimizer.make(weights, Settings(optimizer=AdamW(betas=(0.5, 0.75))))
    weights["w"].grad = torch.tensor([8.0])
    optimizer.apply(moved, 0.1)
    state = optimizer.state_tensors(moved, weights)
    assert (state["w/exp_avg"].item(), state["w/exp_avg_sq"].item()) == (4, 16)


@pytest.mark.parametrize("gradient", [3.0, 1e-9])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_first_step_of_adafactor_by_hand(value: float, gradient: float) -> None:
    """lr·sign(g), however small the weight or the gradient; without decay unless it is asked for."""
    assert one(value, gradient, optimizer=Adafactor())[0] == pytest.approx(value - 0.1)
    assert one(value, gradient, optimizer=Adafactor(weight_decay=0.5))[0] == pytest.approx(value * 0.95 - 0.1)


def test_adafactor_of_a_matrix_by_hand() -> None:
    """G = u vᵀ has V = u² (v²)ᵀ exactly, so the step is lr·sign(G)."""
    weights = {"w": Parameter(torch.zeros(2, 3))}
    moved = optimizer.make(weights, Settings(optimizer=Adafactor()))
    gradient = torch.outer(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.5, -1.0]))
    weights["w"].grad = gradient
    optimizer.apply(moved, 0.1)
    assert torch.allclose(weights["w"], -0.1 * gradient.sign())


@pytest.mark.parametrize("kind", EXTRAS)
def test_packed_moments_move_as_adamw_does(kind: AdamW) -> None:
    """Five steps of about 0.01 a weight, less than a tenth of them apart in the mean."""
    plain, packed = weights_of(SHAPES), weights_of(SHAPES)
    start = {name: weight.detach().clone() for name, weight in plain.items()}
    go(plain, optimizer.make(plain, Settings()), range(5))
    go(packed, optimizer.make(packed, Settings(optimizer=kind)), range(5))
    for name, weight in plain.items():
        moved = (weight - start[name]).abs().mean()
        assert (weight - packed[name]).abs().mean() < moved / 10, name
    assert torch.allclose(plain["small"], packed["small"], atol=1e-6)
    assert not torch.equal(plain["large"], packed["large"])


@pytest.mark.parametrize("longest", [0.0, 1.0, 100.0])
def test_the_norm_is_the_one_before_clipping(longest: float) -> None:
    assert one(0.0, -4.0, max_grad_norm=longest)[1] == pytest.approx(4.0)


def test_clipping_shortens_the_gradient() -> None:
    """After a gradient of 8 clipped to 1, exp_avg is (1 − β1)·1 = 0.1; unclipped it is 0.8."""
    for longest, moment in ((1.0, 0.1), (0.0, 0.8)):
        chosen = Settings()
        weights = {"w": Parameter(torch.zeros(1))}
        moved = optimizer.make(weights, chosen)
        weights["w"].grad = torch.tensor([8.0])
        optimizer.clip(weights, longest)
        optimizer.apply(moved, chosen.lr)
        assert optimizer.state_tensors(moved, weights)["w/exp_avg"].item() == pytest.approx(moment, rel=1e-4)
