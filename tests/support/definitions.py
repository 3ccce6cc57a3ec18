"""The process and its Gaussians straight from their definitions in float64, sharing no formula with the package.

    x_t = α x0 + σ ε               q(x_k | x_{k−1}) = N(g x_{k−1}, h² I),  g = α_k/α_{k−1},  h² = σ_k² − g² σ_{k−1}²

A head is what it is called: ε itself, x0 itself, the velocity v = α ε − σ x0 or the flow ε − x0. Means over latent
dimensions, as everywhere. Numbers are Python floats, latents float64 tensors of any shape.
"""

from __future__ import annotations

import math

import torch
from torch.distributions import Normal

SD15 = dict(beta_start=0.00085, beta_end=0.012, steps=1000)


def sd15_alpha_bar():
    """ᾱ of Stable Diffusion 1.5: β linear in its square root."""
    root = torch.linspace(SD15["beta_start"] ** 0.5, SD15["beta_end"] ** 0.5, SD15["steps"], dtype=torch.float64)
    return (1 - root**2).cumprod(0)


def zero_terminal(alpha_bar):
    """√ᾱ shifted and scaled so that it ends in 0 and begins where it began (Lin et al. 2023, algorithm 1)."""
    root = alpha_bar.sqrt()
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])).square()


def coefficients(head, alpha, sigma):
    """(a, b) with p = a x0 + b ε."""
    return {"eps": (0.0, 1.0), "x0": (1.0, 0.0), "v": (-sigma, alpha), "flow": (-1.0, 1.0)}[head]


def target(head, x0, eps, alpha, sigma):
    """What the network ought to say."""
    a, b = coefficients(head, alpha, sigma)
    return a * x0 + b * eps


def solved(head, p, x_t, alpha, sigma):
    """(x̂0, ε̂): the solution of α x0 + σ ε = x_t and a x0 + b ε = p."""
    matrix = torch.tensor([[alpha, sigma], coefficients(head, alpha, sigma)], dtype=torch.float64)
    x0, eps = torch.linalg.solve(matrix, torch.stack([x_t.flatten(), p.flatten()]))
    return x0.view_as(x_t), eps.view_as(x_t)


def mean_square(one, other):
    """Mean over all dimensions of the squared difference."""
    return (one - other).square().mean()


def terminal_log_density(x0, predicted):
    """log N(x0; x̂0, c I) less its value at the mode, mean over dimensions; c = ½ sets the unit of scale."""
    terminal = Normal(predicted, math.sqrt(0.5), validate_args=False)
    return (terminal.log_prob(x0) - terminal.log_prob(predicted)).mean()


def posterior(schedule, k, x_k, x0):
    """Mean and variance of q(x_{k−1} | x_k, x0) = N(x_{k−1}; α x0, σ²) · N(x_k; g x_{k−1}, h²), normalised."""
    before, now = ((float(schedule.alpha[at]), float(schedule.sigma[at])) for at in (k - 1, k))
    g = now[0] / before[0]
    h2 = now[1] ** 2 - g**2 * before[1] ** 2
    variance = 1 / (1 / before[1] ** 2 + g**2 / h2)
    return variance * (before[0] * x0 / before[1] ** 2 + g * x_k / h2), variance


def log_ratio(schedule, head, k, x0, eps, p):
    """log p_θ(x_{k−1}|x_k) − log q(x_{k−1}|x_k, x0) at the mode of q, mean over dimensions; the network said p."""
    alpha, sigma = float(schedule.alpha[k]), float(schedule.sigma[k])
    x_k = alpha * x0 + sigma * eps
    mean, variance = posterior(schedule, k, x_k, x0)
    model, _ = posterior(schedule, k, x_k, solved(head, p, x_k, alpha, sigma)[0])
    spread = math.sqrt(variance)
    return (Normal(model, spread).log_prob(mean) - Normal(mean, spread).log_prob(mean)).mean()
