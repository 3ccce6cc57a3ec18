"""Holm's correction: numbers by hand and the step-down rule written down independently."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.evaluate.holm import holm


def test_by_hand() -> None:
    """Sorted .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04; the last may not fall below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_single_test_and_none_stay_as_they_are() -> None:
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_nothing_rises_above_one() -> None:
    assert holm([0.5, 0.6, 0.9]) == [1, 1, 1]


def step_down(p_values: list[float], alpha: float) -> list[bool]:
    """Holm's own words: from the smallest p on, reject while p_(j) ≤ α / (m − j + 1); then stop for good."""
    rejected = [False] * len(p_values)
    for j, place in enumerate(np.argsort(p_values, kind="stable"), 1):
        if p_values[place] > alpha / (len(p_values) - j + 1):
            break
        rejected[place] = True
    return rejected


def test_adjusted_p_values_are_the_step_down_rule() -> None:
    generator = np.random.default_rng(0)
    for _ in range(300):
        p_values = (generator.random(generator.integers(1, 8)) ** 3).tolist()
        for alpha in (0.01, 0.05, 0.2):
            assert [p <= alpha for p in holm(p_values)] == step_down(p_values, alpha)


def test_order_does_not_matter_and_every_p_only_grows() -> None:
    p_values = [0.2, 0.001, 0.03, 0.03, 0.8]
    adjusted = holm(p_values)
    assert holm(p_values[::-1]) == adjusted[::-1]
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))


def test_false_rejections_are_rare() -> None:
    """1000 families of five true null hypotheses: any is rejected at 0.05 in 5 % of the families, within error."""
    generator = np.random.default_rng(1)
    wrong = sum(min(holm(generator.random(5).tolist())) <= 0.05 for _ in range(1000))
    assert 30 <= wrong <= 70


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, bad])
