"""Every method's loss and gradients straight from the equations, image by image in float64.

Nothing of `tastemaker.method` or `tastemaker.process` is used: a method is read as the dictionary that a recipe holds.
"""

from __future__ import annotations

import math

import torch

from support.definitions import mean_square, solved, target, terminal_log_density
from tastemaker.base import draw


def step_of(when, u, steps):
    """The step that u in [0, 1) means, by counting up."""
    if when["kind"] == "range":
        low, high = round(when["low"] * steps), round(when["high"] * steps)
        return min(low + int(u * (high - low)), high - 1)
    if when["kind"] == "discounted":
        power = [when["gamma"] ** math.floor((steps - 1 - t) * when["grid"] / steps) for t in range(steps)]
        return next(t for t in range(steps) if sum(power[: t + 1]) > u * sum(power))
    if when["kind"] == "logit-normal":
        quantile = float(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(u, dtype=torch.float64)))
        return int(steps / (1 + math.exp(-(when["mean"] + when["std"] * quantile))))
    return int(u * steps)


def cost_of_error(weight, head, schedule, t, x0, eps, said):
    """ω(t) e of what the network ``said`` of one image: each weight by what it is *meant* to be an error of."""
    alpha, sigma = float(schedule.alpha[t]), float(schedule.sigma[t])
    native = mean_square(said, target(head, x0, eps, alpha, sigma))
    if weight["kind"] == "constant":
        return native
    if weight["kind"] == "discounted":
        steps = len(schedule.alpha)
        power = [weight["gamma"] ** math.floor((steps - 1 - k) * weight["grid"] / steps) for k in range(steps)]
        return native * power[t] / (sum(power) / steps)
    predicted_x0, predicted_eps = solved(head, said, alpha * x0 + sigma * eps, alpha, sigma)
    if weight["kind"] == "epsilon":
        return mean_square(eps, predicted_eps)
    if weight["kind"] == "min-snr":
        return min((alpha / sigma) ** 2, weight["gamma"]) * mean_square(x0, predicted_x0)
    return -terminal_log_density(x0, predicted_x0)


def cost(credit, head, schedule, t, recorded, x0, eps, said):
    """n = ω(t) e − κ Σ_{k>t} log r_k of one image; ``recorded`` [T] are its log r."""
    total = cost_of_error(credit["weight"], head, schedule, t, x0, eps, said)
    if credit["correction"] is None:
        return total
    return total - credit["correction"]["scale"] * sum(recorded[k] for k in range(t + 1, len(recorded)))


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def judged_pair(link, policy, reference, baseline):
    """The loss of a pair with costs (winner, loser); ``reference`` is None without one."""
    w, lo = policy
    kind = link["kind"]
    if kind == "sft":
        return w
    if kind == "odds":
        odds = [torch.exp(-n) / (1 - torch.exp(-n)) for n in policy]
        return w - link["weight"] * torch.log(odds[0] / (odds[0] + odds[1]))
    if kind == "pointwise":
        sides = zip(policy, reference, (1, -1), strict=True)
        return sum(judged_image(link, n, r, sign, baseline) for n, r, sign in sides) / 2
    margin = (lo - w) if reference is None else (reference[0] - w) - (reference[1] - lo)
    z = link["beta"] * margin / 2
    if kind == "hinge":
        return torch.relu(link["delta"] - z) + link["regulariser"] * w
    if kind == "squared":
        return z**2 - z + 0.25
    p = link["label_smoothing"]
    return -(1 - p) * torch.log(sigmoid(z)) - p * torch.log(1 - sigmoid(z))


def judged_image(link, policy, reference, sign, baseline):
    """KTO's λ_y − v, or the cost itself."""
    if link["kind"] == "sft":
        return policy
    gain = reference - policy - baseline
    if sign > 0:
        return link["liked_weight"] * (1 - sigmoid(link["beta"] * gain))
    return link["disliked_weight"] * (1 - sigmoid(link["beta"] * -gain))


def drawn(seed, name, visit, shape):
    """(u, ε) of a pair: functions of (seed, pair id, visit) alone."""
    return draw.numbers(seed, "time", name, visit).random(), draw.normal(shape, seed, "noise", name, visit).double()
