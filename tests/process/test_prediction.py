"""The table of prediction heads: inversion, native errors and their exact ratios."""

from __future__ import annotations

import pytest
import torch

from tastemaker.process.prediction import HEADS, Prediction, x0_factor

ALPHA, SIGMA = torch.tensor([0.8, 0.6]), torch.tensor([0.6, 0.8])


def draw():
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(2, 4, 3, 3, generator=generator) for _ in range(3))


def predict(head, x0, eps, alpha=ALPHA, sigma=SIGMA):
    """The prediction of a network that believes in (x0, eps)."""
    rows = (-1, 1, 1, 1)
    a, b = HEADS[head](alpha, sigma)
    x_t = alpha.view(rows) * x0 + sigma.view(rows) * eps
    return Prediction(a.view(rows) * x0 + b.view(rows) * eps, x_t, alpha, sigma, head)


@pytest.mark.parametrize(
    ("head", "a", "b"), [("eps", 0, 1), ("x0", 1, 0), ("v", -0.6, 0.8), ("flow", -1, 1)], ids=lambda value: str(value)
)
def test_the_table_at_alpha_08_sigma_06(head, a, b):
    assert [float(value) for value in HEADS[head](torch.tensor(0.8), torch.tensor(0.6))] == pytest.approx([a, b])


@pytest.mark.parametrize("head", HEADS)
def test_a_true_prediction_is_inverted(head):
    x0, eps, _ = draw()
    prediction = predict(head, x0, eps)
    torch.testing.assert_close(prediction.x0, x0, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(prediction.eps, eps, atol=1e-5, rtol=1e-5)
    assert prediction.error(x0, eps).tolist() == [0.0, 0.0]


def test_error_by_hand():
    """ε head, predicted 0.5 against noise 2 on every latent dimension: e = 1.5² = 2.25; float32 from bfloat16."""
    ones = torch.ones(1, 4, 2, 2)
    output = (0.5 * ones).bfloat16()
    error = Prediction(output, ones, torch.tensor([0.8]), torch.tensor([0.6]), "eps").error(ones, 2 * ones)
    assert error.dtype == torch.float32
    assert error.tolist() == [2.25]


def test_the_error_is_a_mean_over_one_image():
    zeros = torch.zeros(2, 1, 2, 2)
    output = torch.tensor([4.0, 0, 0, 0, 0, 0, 0, 2.0]).view(2, 1, 2, 2)
    prediction = Prediction(output, zeros, ALPHA, SIGMA, "eps")
    assert prediction.error(zeros, zeros).tolist() == [4.0, 1.0]


@pytest.mark.parametrize("head", HEADS)
def test_errors_of_two_heads_differ_by_the_squared_ratio_of_determinants(head):
    """One belief about ε, read through two heads: e_head = e_ε · (det_head / det_ε)², det = aσ − bα.

    The belief stays on the line x_t = α x0 + σ ε, as a network's does that is shown x_t.
    """
    x0, eps, other = draw()
    rows = (-1, 1, 1, 1)
    alpha, sigma = ALPHA.view(rows), SIGMA.view(rows)
    believed_x0 = (alpha * x0 + sigma * eps - sigma * other) / alpha
    errors = {name: predict(name, believed_x0, other).error(x0, eps) for name in ("eps", head)}
    (a, b), (a_eps, b_eps) = HEADS[head](ALPHA, SIGMA), HEADS["eps"](ALPHA, SIGMA)
    ratio = (a * SIGMA - b * ALPHA) / (a_eps * SIGMA - b_eps * ALPHA)
    torch.testing.assert_close(errors[head], errors["eps"] * ratio.square(), rtol=1e-4, atol=1e-6)


def test_v_at_zero_terminal_signal_is_finite():
    x0, eps, other = draw()
    alpha, sigma = torch.zeros(2), torch.ones(2)
    prediction = Prediction(other, eps, alpha, sigma, "v")
    torch.testing.assert_close(prediction.x0, -other)
    assert torch.isfinite(prediction.eps).all()
    torch.testing.assert_close(prediction.error(x0, eps), (other + x0).square().flatten(1).mean(1))


@pytest.mark.parametrize("head", HEADS)
def test_the_x0_factor_turns_the_native_error_into_the_error_of_x0(head):
    """‖x0 − x̂0‖² = (σ/det)² e, with x̂0 from the prediction itself."""
    x0, eps, other = draw()
    prediction = predict(head, x0, eps)
    wrong = Prediction(prediction.output + 0.3 * other, prediction.x_t, ALPHA, SIGMA, head)
    expected = (x0 - wrong.x0).square().flatten(1).mean(1)
    torch.testing.assert_close(x0_factor(head, ALPHA, SIGMA) * wrong.error(x0, eps), expected, rtol=1e-4, atol=1e-7)


def test_x0_factors_by_hand():
    """α = 0.8, σ = 0.6: ε 0.36/0.64, v 0.36, x0 1; flow at s = 0.6, 0.36 as well."""
    alpha, sigma = torch.tensor(0.8), torch.tensor(0.6)
    found = [float(x0_factor(head, alpha, sigma)) for head in ("eps", "v", "x0")]
    assert found == pytest.approx([0.5625, 0.36, 1.0])
    assert float(x0_factor("flow", torch.tensor(0.4), sigma)) == pytest.approx(0.36)
