from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.optimization import get_scheduler
from pydantic import ValidationError

from tastemaker.train.config import Settings
from tastemaker.train.rate import rate


def rates(steps: int, **settings: Any) -> list[float]:
    chosen = Settings(**settings)
    return [rate(step, steps, chosen) for step in range(steps)]


@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_rate_rises_linearly(name: str) -> None:
    assert rates(6, lr=1.0, warmup_steps=4, lr_scheduler=name)[:5] == [0.25, 0.5, 0.75, 1, 1]
    assert rates(2, lr=1.0, warmup_steps=4, lr_scheduler=name) == [0.25, 0.5]
    assert rates(1, lr=1.0, lr_scheduler=name) == [1.0]


def test_constant_stays() -> None:
    assert rates(6, lr=1.0, warmup_steps=4) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert rates(3, lr=0.3) == [0.3, 0.3, 0.3]


def test_falling_by_hand() -> None:
    """Four steps after a warm-up of one: p = 0, ¼, ½, ¾; the line is 1 − p and the cosine (1 + cos πp) / 2."""
    assert rates(5, lr=1.0, warmup_steps=1, lr_scheduler="linear") == [1, 1, 0.75, 0.5, 0.25]
    half = 0.5**0.5
    expected = [1, (1 + half) / 2, 0.5, (1 - half) / 2]
    assert rates(4, lr=1.0, lr_scheduler="cosine") == pytest.approx(expected)
    assert rates(4, lr=1.0, min_lr=0.2, lr_scheduler="cosine") == pytest.approx([0.2 + 0.8 * f for f in expected])
    assert rates(2, lr=1.0, min_lr=0.5, lr_scheduler="linear") == [1, 0.75]


@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("warmup", [0, 3])
def test_falling_is_as_in_diffusers(name: str, warmup: int) -> None:
    """After the warm-up, step by step; diffusers' warm-up begins at 0, ours at its first part."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=11)
    expected = []
    for _ in range(11):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(11, lr=0.3, warmup_steps=warmup, lr_scheduler=name)[warmup:] == pytest.approx(expected[warmup:])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min_lr": 1e-6}, "min_lr: 1e-06 ends a falling rate; set lr_scheduler: cosine or linear"),
        ({"min_lr": 2e-4, "lr_scheduler": "cosine"}, "min_lr: 0.0002 is above lr: 0.0001"),
        ({"lr_scheduler": "polynomial"}, "'constant', 'linear' or 'cosine'"),
    ],
)
def test_impossible_rates_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**settings)
