"""D3PO's clip of a step's log-ratio: value, gradient and what is counted."""

from __future__ import annotations

import math

import pytest
import torch

from tastemaker.method.clip import RatioClip
from tastemaker.method.evidence import Evidence
from tastemaker.method.pairwise import Logistic

LOW, HIGH = math.log(0.9), math.log(1.1)


def test_the_bounds_are_those_of_the_ratio_itself():
    """ε = 0.1: a ratio of 0.9 to 1.1, that is a log-ratio of −0.10536 to 0.09531."""
    assert RatioClip().bounds == pytest.approx((-0.1053605, 0.0953102), abs=1e-6)


def test_value_and_gradient():
    ratio = torch.tensor([-0.2, -0.1, 0.0, 0.09, 0.3], requires_grad=True)
    clipped = RatioClip()(ratio)
    assert clipped.tolist() == pytest.approx([LOW, -0.1, 0.0, 0.09, HIGH])
    clipped.sum().backward()
    assert ratio.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_what_is_counted():
    ratio = torch.tensor([-0.2, 0.0, 0.2])
    winner, loser = RatioClip().wrong_side(ratio, ratio)
    assert RatioClip().clipped(ratio).tolist() == [True, False, True]
    assert winner.tolist() == [True, False, False], "a winner that has fallen"
    assert loser.tolist() == [False, False, True], "a loser that has risen"


def test_the_loss_stays_within_a_hundredth_of_log_2():
    """D3PO: β = 0.1 (0.2 here), so |z| ≤ 0.1 (HIGH − LOW) = 0.02007 and −log σ(±z) lies in [0.683, 0.703]."""
    ratios = torch.tensor([-5.0, -0.05, 0.0, 0.05, 5.0])
    winner, loser = (RatioClip()(side.flatten()) for side in torch.meshgrid(ratios, ratios, indexing="ij"))
    nothing = torch.zeros_like(winner)
    loss = Logistic(beta=0.2)(Evidence((-winner, -loser), (nothing, nothing)))
    assert loss.max() == pytest.approx(math.log1p(math.exp(0.1 * (HIGH - LOW))), rel=1e-5)
    assert loss.min() == pytest.approx(math.log1p(math.exp(-0.1 * (HIGH - LOW))), rel=1e-5)
    assert 0.683 < loss.min() < loss.max() < 0.704


def test_the_published_loss():
    """−log σ(β (h_w log ratio_w + h_l log ratio_l)), h = ±1, written down on its own."""
    winner, loser, beta = torch.tensor([0.04, -0.3]), torch.tensor([-0.02, 0.01]), 0.1
    inner = beta * (winner.clamp(LOW, HIGH) - loser.clamp(LOW, HIGH))
    clip, nothing = RatioClip(), torch.zeros(2)
    found = Logistic(beta=2 * beta)(Evidence((-clip(winner), -clip(loser)), (nothing, nothing)))
    torch.testing.assert_close(found, torch.log1p(torch.exp(-inner)))
