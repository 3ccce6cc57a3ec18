"""ORPO: value and gradient by hand, the sign of both partial derivatives, the published formula, extremes."""

from __future__ import annotations

import math

import pytest
import torch

from tastemaker.base.errors import UserError
from tastemaker.method.evidence import Evidence
from tastemaker.method.odds import Odds, log_odds


def number(value):
    return torch.tensor([value], dtype=torch.float64, requires_grad=True)


def test_value_and_gradient():
    """n_w = log 2, n_l = log 4: p_w = ½ and p_l = ¼, log-odds 0 and −log 3; λ = 0.1.

    σ(log 3) = ¾, so L = log 2 + 0.1 log(4/3) = 0.721915. dL/dn_w = 1 + 0.1 · ¼ / (1 − ½) = 1.05 and
    dL/dn_l = −0.1 · ¼ / (1 − ¼) = −1/30.
    """
    winner, loser = number(math.log(2)), number(math.log(4))
    loss = Odds(weight=0.1)(Evidence((winner, loser)))
    loss.sum().backward()
    assert float(loss.detach()) == pytest.approx(math.log(2) + 0.1 * math.log(4 / 3))
    assert [float(winner.grad), float(loser.grad)] == pytest.approx([1.05, -1 / 30])


@pytest.mark.parametrize("n_w", [1e-3, 0.2, 3.0])
@pytest.mark.parametrize("n_l", [1e-3, 0.2, 3.0])
def test_raising_the_losers_cost_lowers_the_loss(n_w, n_l):
    """A public script has it the other way round."""
    winner, loser = number(n_w), number(n_l)
    Odds()(Evidence((winner, loser))).sum().backward()
    assert winner.grad > 0
    assert loser.grad < 0


def test_a_pair_of_equals_costs_lambda_log_two():
    equal = torch.tensor([0.3], dtype=torch.float64)
    assert float(Odds(weight=0.5)(Evidence((equal, equal)))) == pytest.approx(0.3 + 0.5 * math.log(2))


def test_as_published():
    """Hong et al., eq. 4–7: odds = P/(1−P), L = NLL − λ log σ(log(odds_w/odds_l))."""
    n_w, n_l = torch.rand(2, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.05
    odds = [torch.exp(-n) / (1 - torch.exp(-n)) for n in (n_w, n_l)]
    published = n_w - 0.1 * torch.log(torch.sigmoid(torch.log(odds[0] / odds[1])))
    torch.testing.assert_close(Odds(weight=0.1)(Evidence((n_w, n_l))), published)


def test_log_odds_is_finite_at_the_ends():
    """p = ½ at n = log 2; n → 0 is a certain event, large n an impossible one: −n − log(1 − e⁻ⁿ) → −log n and −n."""
    n = torch.tensor([math.log(2), 0.0, 1e-6, 500.0], dtype=torch.float32)
    found = log_odds(n)
    assert found.isfinite().all()
    assert found.tolist() == pytest.approx([0.0, -math.log(1e-8), -math.log(1e-6), -500.0], rel=1e-4, abs=1e-6)


def test_losers_are_needed():
    with pytest.raises(UserError, match="single images or winners alone"):
        Odds()(Evidence((number(0.1),)))
