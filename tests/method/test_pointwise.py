"""KTO and SFT: value and gradient by hand, pairs and single images, the baseline, the published formula."""

from __future__ import annotations

import math

import pytest
import torch

from tastemaker.base.errors import UserError
from tastemaker.method.evidence import Evidence
from tastemaker.method.pointwise import Pointwise, Sft


def single(cost, reference, sign, baseline=0.0):
    """One image with gradient on its cost."""
    policy = torch.tensor([cost], dtype=torch.float64, requires_grad=True)
    evidence = Evidence(
        (policy,), (torch.tensor([reference]).double(),), torch.tensor([sign]).double(), torch.tensor(baseline).double()
    )
    return policy, evidence


@pytest.mark.parametrize(("sign", "loss", "gradient"), [(1.0, 1 / 3, 200 / 9), (-1.0, 2 / 3, -200 / 9)])
def test_value_and_gradient_of_one_image(sign, loss, gradient):
    """β = 100, ρ − z0 = log 2 / 100: σ(log 2) = 2/3, so a liked image costs 1 − 2/3 and a disliked one 2/3.

    dL/dn_θ = y β s (1 − s) = ±100 · (1/3)(2/3) = ±22.2: liked images get likelier, disliked ones less likely.
    """
    policy, evidence = single(0.1, 0.1 + math.log(2) / 100 + 0.05, sign, baseline=0.05)
    found = Pointwise(beta=100)(evidence)
    found.sum().backward()
    assert float(found.detach()) == pytest.approx(loss)
    assert float(policy.grad) == pytest.approx(gradient)


def test_a_pair_is_the_mean_of_a_liked_and_a_disliked_image():
    numbers = torch.rand(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 100
    w, lo, r_w, r_l = numbers
    pair = Pointwise(beta=300)(Evidence((w, lo), (r_w, r_l), None, 0.001))
    liked = Pointwise(beta=300)(Evidence((w,), (r_w,), torch.ones(5), 0.001))
    disliked = Pointwise(beta=300)(Evidence((lo,), (r_l,), -torch.ones(5), 0.001))
    torch.testing.assert_close(pair, (liked + disliked) / 2)


def test_as_published():
    """Li et al.: v = λ_D σ(β(ρ − z0)) for desirable, λ_U σ(β(z0 − ρ)) for undesirable; the loss is λ_y − v."""
    generator = torch.Generator().manual_seed(0)
    policy, reference = torch.rand(2, 30, dtype=torch.float64, generator=generator) / 50
    sign = torch.tensor([1.0, -1.0, 1.0] * 10, dtype=torch.float64)
    z0, rho = 0.004, reference - policy
    value = torch.where(sign > 0, 1.5 * torch.sigmoid(200 * (rho - z0)), 0.7 * torch.sigmoid(200 * (z0 - rho)))
    published = torch.where(sign > 0, 1.5, 0.7) - value
    link = Pointwise(beta=200, liked_weight=1.5, disliked_weight=0.7)
    torch.testing.assert_close(link(Evidence((policy,), (reference,), sign, z0)), published)


def test_the_loss_is_a_half_where_nothing_is_known():
    equal = torch.tensor([0.3])
    assert Pointwise()(Evidence((equal,), (equal,), torch.ones(1))).tolist() == [0.5]


def test_a_reference_is_needed():
    with pytest.raises(UserError, match=r"method\.evidence\.reference is 'none'"):
        Pointwise()(Evidence((torch.zeros(1),), (), torch.ones(1)))


def test_sft_is_the_winners_cost():
    """L = n_θ^w, gradient 1."""
    winner = torch.tensor([0.1], requires_grad=True)
    loss = Sft()(Evidence((winner,)))
    assert float(loss.detach()) == pytest.approx(0.1)
    loss.sum().backward()
    assert float(winner.grad) == 1


def test_what_people_look_at():
    """The margin of pairs, y ρ of single images, nothing for winners alone."""
    one, two = torch.tensor([0.1]), torch.tensor([0.4])
    assert float(Evidence((one, two), (two, two)).preference) == pytest.approx(0.3)
    assert float(Evidence((one, two)).preference) == pytest.approx(0.3)
    assert float(Evidence((one,), (two,), -torch.ones(1)).preference) == pytest.approx(-0.3)
    assert Evidence((one,)).preference is None
    assert Evidence((one,), (), torch.ones(1)).preference is None
