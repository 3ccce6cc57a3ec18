"""Weights of a step: numbers by hand, the published formulas, the Gaussians they come from."""

from __future__ import annotations

import math

import pytest
import torch

from support.definitions import mean_square, sd15_alpha_bar, solved, target, terminal_log_density, zero_terminal
from tastemaker.method.weight import Constant, Discount, Epsilon, MinSnr, SingleShot
from tastemaker.process.prediction import Prediction
from tastemaker.process.schedule import rectified_flow, variance_preserving

SD15 = variance_preserving(sd15_alpha_bar())
ZERO = variance_preserving(zero_terminal(sd15_alpha_bar()))
FLOW = rectified_flow(torch.arange(1, 1001, dtype=torch.float64) / 1000)
EVERY = torch.arange(1000)
MODELS = [("eps", SD15), ("x0", SD15), ("v", SD15), ("v", ZERO), ("x0", ZERO), ("flow", FLOW)]


def names(value):
    return value if isinstance(value, str) else {id(SD15): "sd15", id(ZERO): "zero-snr", id(FLOW): "flow"}[id(value)]


def over(*steps):
    return torch.tensor(steps)


def test_constant_is_one():
    assert Constant()(over(0, 500, 999), SD15, "eps").tolist() == [1.0, 1.0, 1.0]


def test_discount_by_hand():
    """T = 4, N = 2, γ = ½: γ^k = ½, ½, 1, 1 for t = 0..3, mean ¾, so ω = 2/3, 2/3, 4/3, 4/3."""
    schedule = variance_preserving(torch.tensor([0.9, 0.7, 0.4, 0.1]))
    found = Discount(gamma=0.5, grid=2)(over(0, 1, 2, 3), schedule)
    assert found.tolist() == pytest.approx([2 / 3, 2 / 3, 4 / 3, 4 / 3])


@pytest.mark.parametrize("grid", [50, 30, 1, 1000, 4000])
def test_the_discounts_mean_over_all_steps_is_one(grid):
    """Unnormalised, γ = 0.9 and N = 50 have mean (1 − 0.9⁵⁰) / (50 · 0.1) = 0.199: a fifth of β."""
    found = Discount(grid=grid)(EVERY, SD15)
    assert float(found.mean()) == pytest.approx(1)
    assert float(found[-1] / found[0]) == pytest.approx(0.9 ** -math.floor(999 * grid / 1000))
    if grid == 50:
        assert float(found[-1]) == pytest.approx(5 / (1 - 0.9**50))


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_as_published(gamma):
    """Hang et al.: min(SNR, γ) on the error of x0, which is min(SNR, γ)/SNR on ε and min(SNR, γ)/(SNR + 1) on v."""
    snr = sd15_alpha_bar() / (1 - sd15_alpha_bar())
    capped = snr.clamp(max=gamma)
    weight = MinSnr(gamma=gamma)
    torch.testing.assert_close(weight(EVERY, SD15, "eps"), capped / snr)
    torch.testing.assert_close(weight(EVERY, SD15, "v"), capped / (snr + 1))
    torch.testing.assert_close(weight(EVERY, SD15, "x0"), capped)
    s = FLOW.sigma
    torch.testing.assert_close(weight(EVERY, FLOW, "flow"), ((1 - s) / s).square().clamp(max=gamma) * s**2)


def test_min_snr_by_hand():
    """ᾱ = 0.9 has SNR 9, above γ = 5: 5/9 for ε, 5/10 for v. ᾱ = 0.5 has SNR 1: 1 for ε, ½ for v."""
    schedule = variance_preserving(torch.tensor([0.9, 0.5], dtype=torch.float64))
    assert MinSnr()(over(0, 1), schedule, "eps").tolist() == pytest.approx([5 / 9, 1])
    assert MinSnr()(over(0, 1), schedule, "v").tolist() == pytest.approx([0.5, 0.5])


def test_min_snr_is_zero_and_finite_at_zero_signal_for_v():
    assert float(MinSnr()(over(999), ZERO, "v")) == 0
    assert not MinSnr()(over(999), ZERO, "eps").isfinite().any()


def test_single_shot_on_sd15s_schedule():
    """For ε 8.5e-4 at t = 0, 1 near 355 and 2.1e2 at 999, rising all the way."""
    found = SingleShot()(EVERY, SD15, "eps")
    assert found[[0, 355, 999]].tolist() == pytest.approx([8.5e-4, 1.0, 2.1e2], rel=0.03)
    assert int((found - 1).abs().argmin()) in range(350, 360)
    assert (found.diff() > 0).all()


def test_single_shot_of_each_head_by_hand():
    """ᾱ = 0.64: σ²/α² = 0.5625 for ε, σ² = 0.36 for v, 1 for x0; s = 0.25: s² = 0.0625 for flow."""
    schedule = variance_preserving(torch.tensor([0.64], dtype=torch.float64))
    found = [float(SingleShot()(over(0), schedule, head)) for head in ("eps", "v", "x0")]
    assert found == pytest.approx([0.5625, 0.36, 1])
    quarter = rectified_flow(torch.tensor([0.25], dtype=torch.float64))
    assert float(SingleShot()(over(0), quarter, "flow")) == pytest.approx(0.0625)


@pytest.mark.parametrize("t", [0, 1, 355, 700, 998, 999])
@pytest.mark.parametrize(("head", "schedule"), MODELS, ids=names)
def test_single_shot_is_the_terminal_gaussian(head, schedule, t):
    """ω e = −log N(x0; x̂0, ½ I) + its maximum, x̂0 solved from what a network said of x_t: the x0-prediction error."""
    x0, eps, said = torch.randn(3, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(t))
    alpha, sigma = float(schedule.alpha[t]), float(schedule.sigma[t])
    x_t = alpha * x0 + sigma * eps
    native = mean_square(said, target(head, x0, eps, alpha, sigma))
    predicted, _ = solved(head, said, x_t, alpha, sigma)
    found = float(SingleShot()(over(t), schedule, head)) * native
    torch.testing.assert_close(found, -terminal_log_density(x0, predicted))
    torch.testing.assert_close(found, mean_square(x0, predicted))


@pytest.mark.parametrize("t", [0, 355, 999])
@pytest.mark.parametrize(("head", "schedule"), MODELS, ids=names)
def test_the_single_shot_error_is_the_error_of_the_predictions_x0(head, schedule, t):
    """By the package's own `Prediction`, in float32."""
    x0, eps, said = torch.randn(3, 2, 4, 6, 6, generator=torch.Generator().manual_seed(t))
    steps = over(t, t)
    prediction = Prediction(said, schedule.noised(x0, eps, steps), *schedule.levels(steps), head)
    found = SingleShot()(steps, schedule, head).float() * prediction.error(x0, eps)
    torch.testing.assert_close(found, (prediction.x0 - x0).square().flatten(1).mean(1), rtol=1e-3, atol=0)


@pytest.mark.parametrize("t", [1, 355, 998])
@pytest.mark.parametrize(("head", "schedule"), MODELS, ids=names)
def test_epsilon_is_the_error_of_the_noise(head, schedule, t):
    x0, eps, said = torch.randn(3, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(t))
    alpha, sigma = float(schedule.alpha[t]), float(schedule.sigma[t])
    _, predicted = solved(head, said, alpha * x0 + sigma * eps, alpha, sigma)
    native = mean_square(said, target(head, x0, eps, alpha, sigma))
    torch.testing.assert_close(float(Epsilon()(over(t), schedule, head)) * native, mean_square(eps, predicted))


@pytest.mark.parametrize("weight", [Discount(), MinSnr(), SingleShot(), Epsilon()], ids=lambda weight: weight.kind)
def test_a_weight_depends_on_its_own_step_alone(weight):
    """In float64, one a row, in any order."""
    every = weight(EVERY, SD15, "v")
    assert every.dtype == torch.float64
    assert torch.equal(weight(over(700, 3, 3, 999), SD15, "v"), every[[700, 3, 3, 999]])
