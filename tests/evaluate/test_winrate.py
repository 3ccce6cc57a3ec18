"""Paired statistics: numbers by hand, coverage, invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tastemaker.evaluate import winrate


def test_differences_are_means_over_samples() -> None:
    """Prompt 1: (3−1, 2−4) → mean 0; prompt 2: (1−0, 5−2) → mean 2; prompt 3 has an unscored image."""
    base = [[1, 4], [0, 2], [1, np.nan]]
    tuned = [[3, 2], [1, 5], [2, 2]]
    np.testing.assert_array_equal(winrate.paired_differences(base, tuned), [0, 2, np.nan])


def test_differences_of_unequal_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="same images"):
        winrate.paired_differences(np.zeros((3, 2)), np.zeros((3, 1)))


def test_outcomes_by_hand() -> None:
    """ε = 0.1: exactly ±ε is still a tie, beyond it a win or a loss."""
    np.testing.assert_array_equal(winrate.outcomes([0.2, 0.1, 0.0, -0.1, -0.11], 0.1), [1, 0.5, 0.5, 0.5, 0])
    np.testing.assert_array_equal(winrate.outcomes([1e-9, 0.0, -1e-9]), [1, 0.5, 0])


def test_compare_by_hand() -> None:
    """3 wins, 1 tie, 1 loss of 5: rate (3 + ½)/5 = 0.7; mean (3 + 2 + 1 + 0 − 1)/5 = 1; median 1."""
    result = winrate.compare([3, 2, 1, 0, -1])
    assert (result.wins, result.ties, result.losses, result.prompts) == (3, 1, 1, 5)
    assert result.win_rate.value == pytest.approx(0.7)
    assert result.mean_difference.value == 1.0
    assert result.median_difference == 1.0


def test_wilson_by_hand() -> None:
    """Published example (Agresti & Coull 1998): 0 of 10 gives (0, z²/(n + z²)) = (0, 0.2775); ½ of n is centred."""
    interval = winrate.wilson(0.0, 10)
    assert interval.low == pytest.approx(0.0, abs=1e-12)
    assert interval.high == pytest.approx(1.959964**2 / (10 + 1.959964**2), abs=1e-6)
    middle = winrate.wilson(0.5, 100)
    assert middle.low + middle.high == pytest.approx(1.0)
    assert middle.high == pytest.approx(0.5962, abs=1e-4)


def test_wilcoxon_by_hand() -> None:
    """Five positive differences: only the all-plus and all-minus sign patterns are as extreme, p = 2/2⁵."""
    assert winrate.wilcoxon_p([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 32)
    assert winrate.wilcoxon_p([0.0, 0.0]) == 1.0


def test_bootstrap_of_two_prompts_has_the_binomial_spread() -> None:
    """Values 0 and 1: the mean of two draws is 0, ½, 1 with probabilities ¼, ½, ¼."""
    means = winrate.bootstrap_means([[0.0], [1.0]], 40_000)[:, 0]
    values, counts = np.unique(means, return_counts=True)
    np.testing.assert_array_equal(values, [0, 0.5, 1])
    np.testing.assert_allclose(counts / 40_000, [0.25, 0.5, 0.25], atol=0.01)


def test_bootstrap_columns_share_their_resamples() -> None:
    values = np.random.default_rng(0).normal(size=20)
    means = winrate.bootstrap_means(np.stack([values, -2 * values], 1), 100)
    np.testing.assert_allclose(means[:, 1], -2 * means[:, 0])


def test_bootstrap_does_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(7, 1))
    whole = winrate.bootstrap_means(values, 100)
    monkeypatch.setattr(winrate, "CHUNK", 21)
    np.testing.assert_array_equal(winrate.bootstrap_means(values, 100), whole)


def test_the_same_seed_draws_the_same_interval() -> None:
    difference = np.random.default_rng(1).normal(size=50)
    assert winrate.compare(difference, seed=3) == winrate.compare(difference, seed=3)
    assert winrate.compare(difference, seed=3) != winrate.compare(difference, seed=4)


def test_swapping_the_models_mirrors_everything() -> None:
    difference = np.random.default_rng(2).normal(0.3, 1, size=80)
    one, other = winrate.compare(difference, epsilon=0.2), winrate.compare(-difference, epsilon=0.2)
    assert other.win_rate.value == pytest.approx(1 - one.win_rate.value)
    assert other.win_rate.low == pytest.approx(1 - one.win_rate.high)
    assert other.mean_difference.high == pytest.approx(-one.mean_difference.low)
    assert (other.wins, other.ties) == (one.losses, one.ties)
    assert other.p_wilcoxon == pytest.approx(one.p_wilcoxon)


def test_equal_models_tie_everywhere() -> None:
    result = winrate.compare(np.zeros(10))
    assert result.win_rate == winrate.Interval(0.5, 0.5, 0.5)
    assert result.mean_difference == winrate.Interval(0, 0, 0)
    assert result.ties == 10
    assert result.p_wilcoxon == 1.0


def test_order_of_prompts_does_not_move_the_estimate() -> None:
    difference = np.random.default_rng(5).normal(size=30)
    one, other = winrate.compare(difference), winrate.compare(difference[::-1])
    assert one.win_rate.value == other.win_rate.value
    assert one.win_rate.low == pytest.approx(other.win_rate.low, abs=0.05)


def test_bad_differences_are_refused() -> None:
    for bad in ([], [1.0, math.nan]):
        with pytest.raises(ValueError, match="finite"):
            winrate.compare(bad)


def test_intervals_cover_the_truth() -> None:
    """300 simulated studies of 60 prompts: the 95 % intervals hold the true rate and mean in 95 ± 4 % of them."""
    generator = np.random.default_rng(0)
    true_rate = 0.5 * (1 + math.erf(0.3 / math.sqrt(2)))
    rate = mean = wilson = 0
    for study in range(300):
        result = winrate.compare(generator.normal(0.3, 1, size=60), resamples=600, seed=study)
        rate += result.win_rate.low <= true_rate <= result.win_rate.high
        wilson += result.wilson.low <= true_rate <= result.wilson.high
        mean += result.mean_difference.low <= 0.3 <= result.mean_difference.high
    for covered in (rate, mean, wilson):
        assert 0.91 <= covered / 300 <= 0.99


def test_samples_of_one_prompt_do_not_narrow_the_interval() -> None:
    """Eight identical samples a prompt are one observation: the interval is that of one sample."""
    generator = np.random.default_rng(3)
    base, tuned = generator.normal(size=(40, 1)), generator.normal(size=(40, 1))
    one = winrate.compare(winrate.paired_differences(base, tuned))
    eight = winrate.compare(winrate.paired_differences(np.repeat(base, 8, 1), np.repeat(tuned, 8, 1)))
    assert eight.win_rate == one.win_rate
