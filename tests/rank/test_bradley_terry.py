"""The probability that a label is right: by hand, what the fit recovers, what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.rank import bradley_terry
from tastemaker.rank.bradley_terry import BradleyTerry, fit


def judged(slopes: list[float], flips: float, n: int = 40_000) -> np.ndarray:
    """Margins [K, n] of winners over losers, as people with these slopes and mistakes would name them."""
    random = draw.numbers("bradley terry", str(slopes), str(flips))
    margins = random.normal(size=(len(slopes), n)) * 3
    wins = random.random(n) < 1 / (1 + np.exp(-(np.array(slopes) @ margins)))
    wins ^= random.random(n) < flips
    return np.where(wins, margins, -margins)


def test_by_hand() -> None:
    """τ = 2: σ(0) = ½; Δ = 2 ln 3 gives odds of 3; with τ of 2 and 1 the margins (2, 1) give σ(1 + 1)."""
    odds = BradleyTerry((0.5,)).right(np.array([[0.0, 2 * math.log(3), -2 * math.log(3)]]))
    assert odds == pytest.approx([0.5, 0.75, 0.25])
    assert BradleyTerry((0.5, 1.0)).right(np.array([[2.0], [1.0]])) == pytest.approx([1 / (1 + math.exp(-2))])
    assert BradleyTerry((0.5,), 0.1).as_json() == {"temperature": 2.0, "flips": 0.1}
    assert BradleyTerry((0.5, 0.0)).as_json()["temperature"] == [2.0, None]


@pytest.mark.parametrize(("slope", "flips"), [(0.5, 0.0), (0.5, 0.2), (2.0, 0.1)])
def test_finds_the_temperature_and_the_flips(slope: float, flips: float) -> None:
    model = fit(judged([slope], flips, 200_000), np.ones(200_000))
    assert model.slopes[0] == pytest.approx(slope, rel=0.08)
    assert model.flips == pytest.approx(flips, abs=0.01)


def test_weighs_several_scorers_by_what_they_know() -> None:
    model = fit(judged([0.4, 0.8, 0.0], 0.1), np.ones(40_000))
    assert model.slopes == pytest.approx((0.4, 0.8, 0.0), abs=0.04)


def test_two_judgements_by_hand() -> None:
    """Three of four labels at margin 1: the likelihood is largest where P = ¾, so τ = 1/ln 3 (the flips stay at 0).

    With a share of ¾ instead of four labels the same; margins of another unit change τ by that unit.
    """
    margins = np.array([[1.0, 1.0, 1.0, -1.0]])
    one = fit(margins, np.ones(4))
    assert one.flips is not None
    assert one.flips + (1 - 2 * one.flips) * one.right(np.array([[1.0]]))[0] == pytest.approx(0.75, abs=1e-4)
    shares = fit(np.array([[1.0, -1.0]]), np.array([0.75, 0.25]))
    assert shares.flips is not None
    assert shares.flips + (1 - 2 * shares.flips) * shares.right(np.array([[1.0]]))[0] == pytest.approx(0.75, abs=1e-4)


def test_another_unit_only_changes_the_unit() -> None:
    margins = judged([0.5], 0.1, 2000)
    one, other = fit(margins, np.ones(2000)), fit(100 * margins, np.ones(2000))
    assert other.slopes[0] * 100 == pytest.approx(one.slopes[0], rel=1e-6)


def test_the_order_of_the_rows_does_not_change_a_bit() -> None:
    margins, shuffle = judged([0.3, 0.5], 0.1, 3000), np.random.default_rng(0).permutation(3000)
    share = np.random.default_rng(1).choice([1.0, 0.8, 0.5], 3000)
    assert fit(margins, share) == fit(margins[:, shuffle], share[shuffle])


def test_the_gradient_is_that_of_the_value() -> None:
    x, share = judged([0.5, 0.2], 0.1, 50), np.linspace(0.5, 1, 50)
    theta, h = np.array([0.3, 0.7, 0.2]), 1e-6
    value, gradient = bradley_terry._loss(theta, x, share)
    steps = [bradley_terry._loss(theta + h * unit, x, share)[0] - value for unit in np.eye(3)]
    assert np.array(steps) / h == pytest.approx(gradient, abs=1e-4)


@pytest.mark.parametrize(
    ("margins", "message"),
    [
        (np.zeros((1, 9)), "all equal; give --temperature"),
        (np.zeros((1, 0)), "all equal"),
        (-np.linspace(0.1, 1, 9)[None], "contradict the labels as often as not"),
        (np.linspace(1, 2, 9)[None], "never contradict the labels; give --temperature"),
    ],
)
def test_no_temperature_fits(margins: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        fit(margins, np.ones(margins.shape[1]))
