from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Parameter

from tastemaker.train import optimizer
from tastemaker.train.config import Settings


def one(value: float, gradient: float, **settings: Any) -> tuple[float, float]:
    """Weight and reported norm after one update of a single weight."""
    chosen = Settings(lr=0.1, **settings)
    weights = {"w": Parameter(torch.tensor([value]))}
    moved = optimizer.adamw(weights, chosen)
    weights["w"].grad = torch.tensor([gradient])
    norm = optimizer.clip(weights, chosen.max_grad_norm)
    optimizer.apply(moved, chosen.lr)
    optimizer.clear(moved)
    assert weights["w"].grad is None
    return weights["w"].item(), norm.item()


def test_first_step_by_hand() -> None:
    """AdamW's first step is lr·sign(g) after the decay: 1·(1 − 0.1·0.5) − 0.1 = 0.85."""
    assert one(1.0, 3.0, weight_decay=0.5) == (pytest.approx(0.85), pytest.approx(3.0))


@pytest.mark.parametrize("longest", [0.0, 1.0, 100.0])
def test_the_norm_is_the_one_before_clipping(longest: float) -> None:
    assert one(0.0, -4.0, max_grad_norm=longest)[1] == pytest.approx(4.0)


def test_clipping_shortens_the_gradient() -> None:
    """After a gradient of 8 clipped to 1, exp_avg is (1 − β1)·1 = 0.1; unclipped it is 0.8."""
    for longest, moment in ((1.0, 0.1), (0.0, 0.8)):
        chosen = Settings()
        weights = {"w": Parameter(torch.zeros(1))}
        moved = optimizer.adamw(weights, chosen)
        weights["w"].grad = torch.tensor([8.0])
        optimizer.clip(weights, longest)
        optimizer.apply(moved, chosen.lr)
        assert optimizer.state_tensors(moved, weights)["w/exp_avg"].item() == pytest.approx(moment, rel=1e-4)


def test_a_restored_state_goes_on_bit_for_bit() -> None:
    gradients = torch.randn(6, 3)

    def go(weights: dict[str, Parameter], moved: Any, steps: range) -> None:
        for step in steps:
            weights["a.b"].grad = gradients[step].clone()
            optimizer.apply(moved, Settings().lr)

    whole = {"a.b": Parameter(torch.ones(3))}
    moved = optimizer.adamw(whole, Settings())
    go(whole, moved, range(3))
    copied = {"a.b": Parameter(whole["a.b"].detach().clone())}
    restored = optimizer.adamw(copied, Settings())
    optimizer.load_state_tensors(
        restored, copied, {name: value.clone() for name, value in optimizer.state_tensors(moved, whole).items()}
    )
    go(whole, moved, range(3, 6))
    go(copied, restored, range(3, 6))
    assert torch.equal(whole["a.b"], copied["a.b"])
