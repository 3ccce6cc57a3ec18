"""The reverse step: against the definitions, and against diffusers' own scheduler."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler

from tastemaker.process.prediction import Prediction
from tastemaker.process.schedule import rectified_flow, variance_preserving
from tastemaker.process.transition import Gaussian, split_noise, transition

SHAPE = (2, 3, 3)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def step(schedule, head, t, u, eta, x_t, output):
    """The Gaussian of one step t → u of every row."""
    (alpha_t, sigma_t), (alpha_u, sigma_u) = (schedule.exact(torch.tensor([at] * len(x_t))) for at in (t, u))
    kept, std = split_noise(alpha_t, sigma_t, alpha_u, sigma_u, eta)
    prediction = Prediction(output, x_t, alpha_t.float(), sigma_t.float(), head)
    return transition(prediction, alpha_u.float(), kept.float(), std.float())


def test_log_prob_is_the_mean_log_density_and_its_gradient_that_of_the_mean():
    """d/dx of −(x − m)²/2s² over n dimensions, mean: −(x − m)/(n s²)."""
    mean, x, std = drawn(4, *SHAPE), drawn(4, *SHAPE, seed=1).requires_grad_(), torch.tensor([0.1, 0.5, 1.0, 2.0])
    found = Gaussian(mean, std).log_prob(x)
    expected = torch.distributions.Normal(mean, std.view(-1, 1, 1, 1)).log_prob(x).flatten(1).mean(1)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    torch.testing.assert_close(gradient, -(x - mean).detach() / (18 * std.view(-1, 1, 1, 1).square()))


def test_a_sample_is_as_likely_as_its_noise():
    """log p(m + s z) = −mean z²/2 − log s − ½ log 2π, whatever the mean."""
    noise, std = drawn(3, *SHAPE), torch.tensor([0.01, 0.3, 5.0])
    gaussian = Gaussian(drawn(3, *SHAPE, seed=1), std)
    expected = -noise.square().flatten(1).mean(1) / 2 - std.log() - math.log(2 * math.pi) / 2
    torch.testing.assert_close(gaussian.log_prob(gaussian.sample(noise)), expected, rtol=1e-3, atol=1e-3)


def test_a_point_mass_is_sampled_without_noise():
    mean = drawn(1, *SHAPE)
    assert torch.equal(Gaussian(mean, torch.zeros(1)).sample(drawn(1, *SHAPE, seed=1)), mean)


@pytest.mark.parametrize(
    ("kind", "zero_snr"), [("epsilon", False), ("v_prediction", False), ("v_prediction", True), ("sample", True)]
)
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_a_step_of_diffusers_ddim(kind, zero_snr, eta):
    """The level after the last step is −1 in diffusers, which takes ᾱ_0 for it."""
    scheduler = DDIMScheduler(
        1000, 0.00085, 0.012, "scaled_linear", clip_sample=False, set_alpha_to_one=False, prediction_type=kind,
        rescale_betas_zero_snr=zero_snr, timestep_spacing="trailing",
    )  # fmt: skip
    scheduler.set_timesteps(10)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()  # its own float32 loses what is kept with η = 1
    schedule = variance_preserving(scheduler.alphas_cumprod)
    head = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}[kind]
    x_t, output, noise = drawn(2, *SHAPE), drawn(2, *SHAPE, seed=1), drawn(2, *SHAPE, seed=2)
    for t, u in ((999, 899), (499, 399), (99, 0)):
        gaussian = step(schedule, head, t, u, eta, x_t, output)
        expected = scheduler.step(output, t, x_t, eta=eta, variance_noise=noise).prev_sample.float()
        torch.testing.assert_close(gaussian.sample(noise), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", ["eps", "v", "x0", "flow"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_true_noise_and_image_keep_the_marginal(head, eta):
    """With x̂0 = x0 and ε̂ = ε the mean is α_u x0 + √(σ_u² − std²) ε, so x_u has the noise level σ_u in all."""
    schedule = rectified_flow(torch.arange(1, 11, dtype=torch.float64) / 10) if head == "flow" else variance_preserving(
        torch.linspace(0.95, 0.05, 10, dtype=torch.float64)
    )  # fmt: skip
    x0, eps, t, u = drawn(1, *SHAPE), drawn(1, *SHAPE, seed=1), 7, 3
    (alpha, sigma), (alpha_u, sigma_u) = ([float(level) for level in schedule.exact(torch.tensor(at))] for at in (t, u))
    a, b = {"eps": (0, 1), "x0": (1, 0), "v": (-sigma, alpha), "flow": (-1, 1)}[head]
    found = step(schedule, head, t, u, eta, alpha * x0 + sigma * eps, a * x0 + b * eps)
    std = eta * sigma_u * math.sqrt(1 - (alpha * sigma_u / (alpha_u * sigma)) ** 2)
    assert float(found.std) == pytest.approx(std, rel=1e-5)
    torch.testing.assert_close(found.mean, alpha_u * x0 + math.sqrt(sigma_u**2 - std**2) * eps, rtol=1e-4, atol=1e-5)


def test_with_eta_1_it_is_the_true_posterior_of_a_diffusion():
    """η = 1: std² = β̃ and the mean is q's, (√ᾱ_u β/(1−ᾱ_t)) x0 + (√α (1−ᾱ_u)/(1−ᾱ_t)) x_t, Ho et al. 2020 eq. 7."""
    power = torch.linspace(0.95, 0.05, 10, dtype=torch.float64)
    schedule, t = variance_preserving(power), 6
    x0, x_t = drawn(1, *SHAPE), drawn(1, *SHAPE, seed=1)
    bar, before = float(power[t]), float(power[t - 1])
    alpha = bar / before
    found = step(schedule, "x0", t, t - 1, 1.0, x_t, x0)
    mean = math.sqrt(before) * (1 - alpha) / (1 - bar) * x0 + math.sqrt(alpha) * (1 - before) / (1 - bar) * x_t
    torch.testing.assert_close(found.mean, mean, rtol=1e-4, atol=1e-5)
    assert float(found.std) ** 2 == pytest.approx((1 - before) / (1 - bar) * (1 - alpha), rel=1e-5)


def test_a_flow_without_signal_forgets_its_noise_with_eta_1():
    """At s = 1 the old noise says nothing more: x_u = (1 − s_u) x̂0 + s_u z."""
    schedule = rectified_flow(torch.arange(1, 11, dtype=torch.float64) / 10)
    x_t, output = drawn(1, *SHAPE), drawn(1, *SHAPE, seed=1)
    found = step(schedule, "flow", 9, 7, 1.0, x_t, output)
    torch.testing.assert_close(found.mean, 0.2 * (x_t - output), rtol=1e-4, atol=1e-5)
    assert float(found.std) == pytest.approx(0.8, rel=1e-6)
