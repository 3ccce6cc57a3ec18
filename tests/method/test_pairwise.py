"""Pairwise links: value and gradient by hand, the published formula in float64, invariances."""

from __future__ import annotations

import math

import pytest
import torch

from tastemaker.base.errors import UserError
from tastemaker.method.evidence import Evidence
from tastemaker.method.pairwise import Hinge, Logistic, Squared


def costs(policy_winner=0.10, policy_loser=0.20, reference_winner=0.13, reference_loser=0.19):
    """ρ_w = 0.13 − 0.10 = 0.03, ρ_l = 0.19 − 0.20 = −0.01, m = 0.04."""
    values = (policy_winner, policy_loser, reference_winner, reference_loser)
    return [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in values]


def evidence(numbers):
    return Evidence(tuple(numbers[:2]), tuple(numbers[2:]))


def judged(link, numbers):
    """(loss, its gradients) of one pair."""
    loss = link(evidence(numbers))
    assert loss.shape == (1,)
    loss.sum().backward()
    return float(loss.detach()), [float(number.grad) for number in numbers if number.grad is not None]


def test_margin_by_hand():
    numbers = evidence(costs())
    assert [float(rho.detach()) for rho in numbers.ratios] == pytest.approx([0.03, -0.01])
    assert float(numbers.margin.detach()) == pytest.approx(0.04)
    assert float(numbers.contrast.detach()) == pytest.approx(0.10)


def test_logistic_value_and_gradient():
    """β = 100: z = 100 · 0.04 / 2 = 2, L = log(1 + e⁻²) = 0.126928.

    dL/dz = −σ(−2) = −0.119203 and dz/dn_θ^w = −50, so dL/dn_θ^w = 5.960146 and dL/dn_θ^l = −5.960146.
    """
    loss, gradients = judged(Logistic(beta=100), costs())
    assert loss == pytest.approx(0.1269280110)
    assert gradients == pytest.approx([5.9601461, -5.9601461, -5.9601461, 5.9601461])


def test_label_smoothing_value_and_gradient():
    """p = 0.1: L = 0.9 · 0.126928 + 0.1 · 2.126928 = 0.326928; dL/dz = σ(2) − 0.9 = −0.019203, times −50 = 0.960146."""
    loss, gradients = judged(Logistic(beta=100, label_smoothing=0.1), costs())
    assert loss == pytest.approx(0.3269280110)
    assert gradients[0] == pytest.approx(0.9601461)


def test_smoothing_is_least_where_sigma_is_one_minus_p():
    """cDPO's optimum: σ(z) = 1 − p, so the margin stops at z = log((1−p)/p) in place of growing for ever."""
    best = math.log(0.9 / 0.1)
    numbers = costs(policy_winner=0.0, policy_loser=best / 50, reference_winner=0.0, reference_loser=0.0)
    _, gradients = judged(Logistic(beta=100, label_smoothing=0.1), numbers)
    assert gradients[0] == pytest.approx(0, abs=1e-9)


def test_logistic_is_log_two_at_margin_zero_and_finite_far_out():
    equal = torch.tensor([0.3, 0.7])
    assert torch.equal(Logistic()(evidence([equal] * 4)), torch.full((2,), math.log(2)))
    far = Logistic(beta=1e4)(evidence([torch.tensor([value]) for value in (9.0, 0.0, 0.0, 9.0)]))
    assert float(far) == pytest.approx(5e3 * 18)


def test_squared_value_and_gradient():
    """β = 100: z = 2, L = (2 − ½)² = 2.25; dL/dz = 2 · 1.5 = 3, so dL/dn_θ^w = 3 · (−50) = −150: past its aim, it holds
    the winner back."""
    loss, gradients = judged(Squared(beta=100), costs())
    assert loss == pytest.approx(2.25)
    assert gradients == pytest.approx([-150, 150, 150, -150])


def test_squared_is_a_quarter_at_margin_zero_and_nothing_at_one_over_beta():
    assert judged(Squared(beta=100), costs(0.1, 0.1, 0.1, 0.1))[0] == 0.25
    loss, gradients = judged(Squared(beta=100), costs(0.09, 0.1, 0.1, 0.1))
    assert loss == pytest.approx(0, abs=1e-20)
    assert gradients[0] == pytest.approx(0, abs=1e-9)


def test_squared_has_twice_the_first_gradient_of_logistic():
    """At m = 0: IPO's dL/dz is −1, DPO's −½."""
    equal = (0.1, 0.1, 0.1, 0.1)
    ipo, dpo = (judged(link(beta=100), costs(*equal))[1][0] for link in (Squared, Logistic))
    assert ipo == pytest.approx(2 * dpo)


def test_squared_agrees_with_ipo_as_published():
    """Azar et al., eq. 17: (h − 1/(2τ))² with h = log-ratio difference; ours is τ² times that with τ = β, h = m / 2."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.rand(4, 50, generator=generator, dtype=torch.float64)
    h = ((numbers[2] - numbers[0]) - (numbers[3] - numbers[1])) / 2
    published = (h - 1 / (2 * 7.0)) ** 2
    torch.testing.assert_close(Squared(beta=7.0)(evidence(list(numbers))), 7.0**2 * published)


def test_hinge_inside_and_beyond_its_margin():
    """δ = 1, β = 20: z = 0.4, L = 0.6, dL/dn_θ^w = β/2 = 10. β = 100: z = 2 > δ, so L = 0 and nothing moves."""
    loss, gradients = judged(Hinge(beta=20), costs())
    assert loss == pytest.approx(0.6)
    assert gradients == pytest.approx([10, -10, -10, 10])
    loss, gradients = judged(Hinge(beta=100), costs())
    assert (loss, gradients) == (0, [0, 0, 0, 0])


def test_the_hinges_regulariser_keeps_the_winner_likely():
    """λ = 0.5: L = 0.6 + 0.5 · 0.1 = 0.65, dL/dn_θ^w = 10.5."""
    loss, gradients = judged(Hinge(beta=20, regulariser=0.5), costs())
    assert loss == pytest.approx(0.65)
    assert gradients[:2] == pytest.approx([10.5, -10])


def test_hinge_without_a_reference_compares_the_errors_themselves():
    """m = n_θ^l − n_θ^w = 0.1, β = 10: L = 1 − 0.5 = 0.5, gradient ±5."""
    winner, loser, *_ = costs()
    loss = Hinge(beta=10)(Evidence((winner, loser)))
    loss.sum().backward()
    assert float(loss.detach()) == pytest.approx(0.5)
    assert [float(winner.grad), float(loser.grad)] == pytest.approx([5, -5])


def test_hinge_agrees_with_slic_as_published():
    """Zhao et al.: max(0, δ − log P(y⁺) + log P(y⁻)) − λ log P(y_ref), log P = −(β/2) n, y_ref = y⁺; our λ is per n."""
    generator = torch.Generator().manual_seed(0)
    n_w, n_l = torch.rand(2, 50, generator=generator, dtype=torch.float64)
    log_w, log_l = -3.0 * n_w, -3.0 * n_l
    published = torch.relu(0.5 - log_w + log_l) - 0.2 / 3.0 * log_w
    ours = Hinge(beta=6.0, delta=0.5, regulariser=0.2)(Evidence((n_w, n_l)))
    torch.testing.assert_close(ours, published)


@pytest.mark.parametrize("link", [Logistic(beta=10), Squared(beta=1), Hinge(beta=10)], ids=lambda link: link.kind)
def test_every_pairwise_link_lowers_the_winner_and_raises_the_loser(link):
    _, gradients = judged(link, costs())
    assert gradients[0] > 0
    assert gradients[1] < 0


@pytest.mark.parametrize("link", [Logistic(), Squared(), Hinge()], ids=lambda link: link.kind)
def test_what_both_sides_share_changes_nothing(link):
    """The loss is a function of the margin: a constant on all four costs drops out."""
    numbers = torch.rand(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 100
    torch.testing.assert_close(link(evidence(list(numbers))), link(evidence(list(numbers + 0.25))))


def test_a_missing_reference_names_the_setting():
    winner, loser, *_ = costs()
    for link in (Logistic(), Squared()):
        with pytest.raises(UserError, match=r"method\.evidence\.reference is 'none'"):
            link(Evidence((winner, loser)))
        with pytest.raises(UserError, match="single images or winners alone"):
            link(Evidence((winner,), (winner,)))
