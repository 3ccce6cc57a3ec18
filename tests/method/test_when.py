"""Which steps are drawn: numbers by hand, whole distributions on a fine grid of u, keyed draws."""

from __future__ import annotations

import math

import pytest
import torch

from support.batches import batch as batch_of
from tastemaker.base import draw
from tastemaker.method.when import Discounted, LogitNormal, Range, Uniform
from tastemaker.train.batch import draws

LAST = 1 - 2**-53
"""The largest u below 1."""
EVERY = [Uniform(), Range(low=0.2, high=0.7), Discounted(), LogitNormal()]


def grid(count):
    """``count`` values of u, evenly spread."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def shares(when, steps, count):
    """Share of each step among ``count`` evenly spread u."""
    return when.draw(grid(count), steps).bincount(minlength=steps).double() / count


def test_uniform_visits_every_step_equally_and_none_beyond():
    drawn = Uniform().draw(grid(4000), 1000)
    assert drawn.dtype == torch.int64
    assert torch.equal(drawn.bincount(), torch.full((1000,), 4))
    assert Uniform().draw(torch.tensor([LAST], dtype=torch.float64), 1025).tolist() == [1024]


def test_range_of_the_dde_paper_is_200_to_699():
    u = torch.tensor([0.0, 0.5, LAST], dtype=torch.float64)
    assert Range(low=0.2, high=0.7).draw(u, 1000).tolist() == [200, 450, 699]


@pytest.mark.parametrize(("low", "high"), [(0, 0.1), (0.3, 0.4), (0.5, 0.6), (0.7, 0.8), (0.9, 1)])
def test_slices_of_a_tenth_have_a_hundred_steps_each(low, high):
    expected = torch.zeros(1000, dtype=torch.float64)
    expected[round(1000 * low) : round(1000 * high)] = 0.01
    torch.testing.assert_close(shares(Range(low=low, high=high), 1000, 10_000), expected)


def test_a_narrow_range_keeps_one_step():
    u = torch.tensor([0.0, 0.99], dtype=torch.float64)
    assert Range(low=0.9999, high=1).draw(u, 10).tolist() == [9, 9]
    assert Range(low=0.31, high=0.32).draw(u, 10).tolist() == [3, 3]


def test_discounted_by_hand():
    """T = 4, N = 2, γ = ½: k = 1, 1, 0, 0 for t = 0..3, so p = 1/6, 1/6, 2/6, 2/6, summed 1/6, 1/3, 2/3, 1."""
    u = torch.tensor([0, 0.16, 0.17, 0.33, 0.34, 0.66, 0.67, LAST], dtype=torch.float64)
    assert Discounted(gamma=0.5, grid=2).draw(u, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(("steps", "number"), [(1000, 50), (1000, 30), (7, 3), (10, 10), (5, 8)])
def test_discounted_steps_are_drawn_in_proportion_to_gamma_to_the_k(steps, number):
    """k(t) = ⌊(T−1−t) N / T⌋ steps of a walk with N steps lie before t, also where N does not divide T."""
    power = torch.tensor([0.9 ** math.floor((steps - 1 - t) * number / steps) for t in range(steps)]).double()
    count = 400_000
    found = shares(Discounted(gamma=0.9, grid=number), steps, count)
    torch.testing.assert_close(found, power / power.sum(), rtol=0, atol=1.01 / count)


def test_the_noisiest_grid_step_is_drawn_most():
    """N = 50 of T = 1000: t = 980..999 have k = 0, t = 0..19 have k = 49; the shares' ratio is 0.9⁴⁹."""
    found = shares(Discounted(), 1000, 1_000_000)
    assert float(found[:20].sum() / found[980:].sum()) == pytest.approx(0.9**49, rel=1e-2)


@pytest.mark.parametrize("setting", [(0.0, 1.0), (-0.5, 0.7)])
def test_logit_normal_has_the_published_density(setting):
    """Esser et al., eq. 19: π(τ) = exp(−(logit τ − m)²/(2 s²)) / (s √(2π) τ (1−τ)), τ = t/T."""
    mean, std = setting
    tau = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    logit = torch.log(tau / (1 - tau))
    density = torch.exp(-((logit - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi) * tau * (1 - tau))
    found = shares(LogitNormal(mean=mean, std=std), 1000, 1_000_000)
    torch.testing.assert_close(found, density / 1000, rtol=2e-3, atol=3e-6)


def test_logit_normal_by_hand():
    """σ(0) = ½ at the median; u = Φ(1) = 0.841345 gives σ(1) = 0.731059, and with mean 1, std 2 σ(3) = 0.952574."""
    u = torch.tensor([0.5, 0.8413448], dtype=torch.float64)
    assert LogitNormal().draw(u, 1000).tolist() == [500, 731]
    assert LogitNormal(mean=1, std=2).draw(u, 1000).tolist() == [731, 952]


@pytest.mark.parametrize("when", EVERY, ids=lambda when: when.kind)
@pytest.mark.parametrize("steps", [1, 2, 1000])
def test_the_ends_of_u_stay_inside_the_schedule(when, steps):
    drawn = when.draw(torch.tensor([0.0, 2**-53, LAST], dtype=torch.float64), steps)
    assert drawn.min() >= 0
    assert drawn.max() < steps


@pytest.mark.parametrize("when", EVERY, ids=lambda when: when.kind)
def test_more_u_is_never_less_t(when):
    assert (when.draw(grid(5000), 1000).diff() >= 0).all()


@pytest.mark.parametrize("when", EVERY, ids=lambda when: when.kind)
def test_a_draw_is_a_function_of_seed_pair_and_visit_whatever_the_batch(when):
    """u is the first number of the stream ("time"), so a step can be drawn again without the batch it was in."""

    def drawn(ids, visits, seed=3):
        batch = batch_of(ids, visits, torch.zeros(len(ids), 1, 2, 2))
        return draws(batch, when, 1000, seed)[0].tolist()

    ids, visits = [f"pair-{n}" for n in range(6)], [0, 1, 2, 0, 1, 2]
    together = drawn(ids, visits)
    assert drawn(ids[::-1], visits[::-1]) == together[::-1]
    assert [drawn([name], [visit])[0] for name, visit in zip(ids, visits, strict=True)] == together
    u = [draw.numbers(3, "time", name, visit).random() for name, visit in zip(ids, visits, strict=True)]
    assert when.draw(torch.tensor(u, dtype=torch.float64), 1000).tolist() == together
    assert drawn(ids, [visit + 1 for visit in visits]) != together
    assert drawn(ids, visits, seed=4) != together
