"""Every link: value and gradient worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from tastemaker.base.errors import UserError
from tastemaker.method.evidence import Evidence
from tastemaker.method.links import Logistic, Sft


def costs(policy_winner=0.10, policy_loser=0.20, reference_winner=0.13, reference_loser=0.19):
    """ρ_w = 0.13 − 0.10 = 0.03, ρ_l = 0.19 − 0.20 = −0.01, m = 0.04."""
    values = (policy_winner, policy_loser, reference_winner, reference_loser)
    return [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in values]


def test_margin_by_hand():
    evidence = Evidence(*costs())
    assert [float(rho.detach()) for rho in evidence.log_ratio] == pytest.approx([0.03, -0.01])
    assert float(evidence.margin.detach()) == pytest.approx(0.04)


def test_logistic_value_and_gradient():
    """β = 100: z = 100 · 0.04 / 2 = 2, L = log(1 + e⁻²) = 0.126928.

    dL/dz = −σ(−2) = −0.119203 and dz/dn_θ^w = −50, so dL/dn_θ^w = 5.960146 and dL/dn_θ^l = −5.960146.
    """
    numbers = costs()
    loss = Logistic(beta=100)(Evidence(*numbers))
    assert loss.shape == (1,)
    assert float(loss.detach()) == pytest.approx(0.1269280110)
    loss.sum().backward()
    gradients = [float(number.grad) for number in numbers]
    assert gradients == pytest.approx([5.9601461, -5.9601461, -5.9601461, 5.9601461])


def test_label_smoothing_value_and_gradient():
    """p = 0.1: L = 0.9 · 0.126928 + 0.1 · 2.126928 = 0.326928; dL/dz = σ(2) − 0.9 = −0.019203, times −50 = 0.960146."""
    numbers = costs()
    loss = Logistic(beta=100, label_smoothing=0.1)(Evidence(*numbers))
    assert float(loss.detach()) == pytest.approx(0.3269280110)
    loss.sum().backward()
    assert float(numbers[0].grad) == pytest.approx(0.9601461)


def test_smoothing_is_least_where_sigma_is_one_minus_p():
    """cDPO's optimum: σ(z) = 1 − p, so the margin stops at z = log((1−p)/p) in place of growing for ever."""
    best = math.log(0.9 / 0.1)
    numbers = costs(policy_winner=0.0, policy_loser=best / 50, reference_winner=0.0, reference_loser=0.0)
    Logistic(beta=100, label_smoothing=0.1)(Evidence(*numbers)).sum().backward()
    assert float(numbers[0].grad) == pytest.approx(0, abs=1e-9)


def test_logistic_is_log_two_at_margin_zero_and_finite_far_out():
    equal = torch.tensor([0.3, 0.7])
    assert torch.equal(Logistic()(Evidence(equal, equal, equal, equal)), torch.full((2,), math.log(2)))
    far = Logistic(beta=1e4)(
        Evidence(torch.tensor([9.0]), torch.tensor([0.0]), torch.tensor([0.0]), torch.tensor([9.0]))
    )
    assert float(far) == pytest.approx(5e3 * 18)


def test_logistic_lowers_the_winner_and_raises_the_loser():
    numbers = costs()
    Logistic()(Evidence(*numbers)).sum().backward()
    assert numbers[0].grad > 0
    assert numbers[1].grad < 0


def test_sft_is_the_winners_cost():
    """L = n_θ^w, gradient 1."""
    winner = costs()[0]
    loss = Sft()(Evidence(policy_winner=winner))
    assert float(loss.detach()) == 0.1
    loss.sum().backward()
    assert float(winner.grad) == 1


def test_a_missing_reference_names_the_setting():
    winner, loser, *_ = costs()
    with pytest.raises(UserError, match=r"method\.evidence\.reference is 'none'"):
        Logistic()(Evidence(policy_winner=winner, policy_loser=loser))
    with pytest.raises(UserError, match="winners alone"):
        Logistic()(Evidence(winner, reference_winner=winner, reference_loser=loser))
