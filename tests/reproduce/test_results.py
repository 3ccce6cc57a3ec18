"""Intervals over two crossed sources of chance: by hand, written down again, and how often they hold the truth."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from support.reproduced import by_hand, write_arm, write_base
from tastemaker.evaluate.winrate import Interval, outcomes
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.results import Results, alike, crossed, p_value, reading, share

ONE, TWO = Arm("world"), Arm("world", loss="ipo")
T4 = 2.7764451
"""97.5 % quantile of Student's t with 4 degrees of freedom, from a printed table."""


def test_crossed_by_hand():
    """[[1, 3], [3, 5]]: seeds' and prompts' means are 2 and 4, both variances 2; √(2/2 + 2/2) = √2; t_1 = 12.7062."""
    found = crossed([[1, 3], [3, 5]])
    assert found.value == 3
    assert found.high - 3 == pytest.approx(12.7062 * math.sqrt(2), rel=1e-5)
    assert 3 - found.low == pytest.approx(found.high - 3)


def test_crossed_is_the_formula_written_down_again():
    values = np.random.default_rng(0).normal(size=(5, 7)).tolist()
    seeds = [statistics.fmean(row) for row in values]
    prompts = [statistics.fmean(column) for column in zip(*values, strict=True)]
    half = T4 * math.sqrt(statistics.variance(seeds) / 5 + statistics.variance(prompts) / 7)
    found = crossed(values)
    assert found.value == pytest.approx(statistics.fmean(seeds))
    assert found.low == pytest.approx(found.value - half, rel=1e-6)
    assert found.high == pytest.approx(found.value + half, rel=1e-6)


def test_crossed_does_not_care_for_order_and_follows_shift_and_scale():
    random = np.random.default_rng(1)
    values = random.normal(size=(4, 9))
    shuffled = values[random.permutation(4)][:, random.permutation(9)]
    plain, again = crossed(values), crossed(shuffled)
    assert (again.low, again.high) == pytest.approx((plain.low, plain.high))
    moved = crossed(3 - 2 * values)
    assert (moved.low, moved.high) == pytest.approx((3 - 2 * plain.high, 3 - 2 * plain.low))


def test_p_by_hand():
    """As `test_crossed_by_hand`, t = 3/√2 with one degree of freedom: Cauchy's, p = 1 − 2/π · arctan t = 0.2805."""
    assert p_value([[1, 3], [3, 5]]) == pytest.approx(1 - 2 / math.pi * math.atan(3 / math.sqrt(2)))
    assert p_value([[-1, -3], [-3, -5]]) == p_value([[1, 3], [3, 5]])
    assert p_value([[-1, 1], [1, -1]]) == 1


def test_p_is_one_of_one_seed_and_certain_without_spread():
    assert p_value([[1.0, 2.0, 6.0]]) == 1
    assert p_value([[2.0, 2.0], [2.0, 2.0]]) == 0
    assert p_value([[0.0, 0.0], [0.0, 0.0]]) == 1


@pytest.mark.parametrize("shift", [-1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0])
def test_p_is_where_an_interval_just_reaches_zero(shift):
    values = np.random.default_rng(2).normal(shift, 1, (5, 7))
    p = p_value(values)
    assert min(abs(end) for end in (crossed(values, 1 - p).low, crossed(values, 1 - p).high)) < 1e-9
    assert (p < 0.05) == (crossed(values).low > 0 or crossed(values).high < 0)


def test_one_seed_has_no_interval():
    found = crossed([[1.0, 2.0, 6.0]])
    assert found == Interval(3.0, -math.inf, math.inf)


@pytest.mark.parametrize(
    ("seed_sd", "prompt_sd", "residual", "least", "most"),
    [
        (1.0, 0.0, 0.0, 0.94, 0.96),  # a plain t interval of five values
        (0.5, 1.0, 1.0, 0.94, 0.985),
        (0.1, 1.0, 1.0, 0.95, 1.0),  # t_4 is wide for what rests on 40 prompts
        (0.0, 0.0, 1.0, 0.95, 1.0),  # the residual is in both variances
    ],
)
def test_coverage_of_five_seeds(seed_sd, prompt_sd, residual, least, most):
    """d_sn = a_s + b_n + e_sn around 0, 5 seeds and 40 prompts: at least 95 % of the intervals hold 0."""
    random, held, runs = np.random.default_rng(7), 0, 4000
    for _ in range(runs):
        a, b = random.normal(0, seed_sd, (5, 1)), random.normal(0, prompt_sd, (1, 40))
        found = crossed(a + b + random.normal(0, residual, (5, 40)))
        held += found.low <= 0 <= found.high
    print(f"coverage with ({seed_sd}, {prompt_sd}, {residual}): {held / runs:.3f}")
    assert least <= held / runs <= most


@pytest.mark.parametrize(
    ("low", "high", "seeds", "p", "says"),
    [
        (0.1, 0.3, 5, None, "holds"),
        (-0.3, -0.1, 5, None, "does not hold: the other way round"),
        (-0.1, 0.3, 5, None, "not distinguishable"),
        (0.0, 0.3, 9, None, "not distinguishable"),
        (0.1, 0.3, 5, 0.05, "holds"),
        (0.1, 0.3, 5, 0.051, "not distinguishable"),  # the interval is not corrected, p is
        (-0.3, -0.1, 5, 0.01, "does not hold: the other way round"),
        (0.1, 0.3, 4, 0.001, "too few seeds (4) to say"),
        (-math.inf, math.inf, 1, None, "too few seeds (1) to say"),
    ],
)
def test_reading(low, high, seeds, p, says):
    assert reading(Interval((low + high) / 2 if math.isfinite(low) else 1.0, low, high), seeds, p) == says


def test_win_rates_with_ties_by_hand():
    """ε = 0.02: seed 0 has a win, a tie at −0.02, a loss and a win (0.625), seed 1 four ties (0.5)."""
    d = np.array([[0.5, -0.02, -0.03, 0.021], [0.02, 0.0, -0.01, 0.02]])
    assert crossed(outcomes(d.ravel(), 0.02).reshape(d.shape)).value == pytest.approx((0.625 + 0.5) / 2)


def test_a_share_stays_a_share():
    """1, 1 and 1, 0: the interval of `crossed` reaches beyond 1, that of one seed has no ends."""
    values = [[1.0, 1.0], [1.0, 0.0]]
    assert crossed(values).high > 1 > 0 > crossed(values).low
    assert share(values) == Interval(0.75, 0.0, 1.0)
    assert share([[1.0, 0.0]]) == crossed([[1.0, 0.0]])


def test_a_share_that_never_varies_is_not_sure():
    """Wilson's over 4 prompts, however many seeds: 4/(4 + z²) = 0.5101 of all, 1 − 0.5101 of none."""
    for seeds in (2, 5):
        assert share([[1.0] * 4] * seeds) == Interval(1.0, pytest.approx(0.5101, abs=5e-5), 1.0)
        assert share([[0.0] * 4] * seeds) == Interval(0.0, 0.0, pytest.approx(0.4899, abs=5e-5))
    assert share([[0.5] * 4] * 2).low < 0.5 < share([[0.5] * 4] * 2).high


def test_differences_are_over_the_seeds_that_both_have(tmp_path):
    shop = by_hand(tmp_path, 2)
    write_base(shop, {"utility": [1, 2]})
    for seed in (0, 1, 3):
        write_arm(shop, ONE, seed, {"utility": [10 * seed, 10 * seed + 1]})
    for seed in (1, 2, 3):
        write_arm(shop, TWO, seed, {"utility": [seed, seed]})
    results = Results(shop)
    assert results.seeds_of(ONE) == [0, 1, 3]
    assert results.seeds_of(ONE, TWO) == [1, 3]
    assert results.seeds_of(ONE, None) == [0, 1, 3]
    assert results.difference(ONE, TWO, "utility").tolist() == [[9, 10], [27, 28]]
    assert results.difference(ONE, None, "utility").tolist() == [[-1, -1], [9, 9], [29, 29]]


def test_a_base_that_has_not_run_is_told(tmp_path):
    shop = by_hand(tmp_path, 2)
    assert not Results(shop).has_base("world")
    write_base(shop, {"utility": [1, 2]})
    assert Results(shop).has_base("world")


def test_scores_are_where_the_stage_leaves_them(tmp_path):
    """`seeds_of` looks for the file itself, as a stage draws all prompts to know its cost."""
    shop = by_hand(tmp_path)
    write_arm(shop, ONE, 2, {"utility": [0] * 4})
    assert shop.scored(ONE, 2).done
    assert not shop.scored(ONE, 1).done


def test_a_judge_has_a_scale(tmp_path):
    """HPSv2 × 100, as the paper prints it."""
    shop = by_hand(tmp_path, 2, [Judge("hps", "HPSv2", scale=100.0)])
    write_base(shop, {"HPSv2": [0.25, 0.26]})
    write_arm(shop, ONE, 0, {"HPSv2": [0.26, 0.28]})
    assert Results(shop).scores(None, "HPSv2", [0], "world").tolist() == [[25, 26]]
    np.testing.assert_allclose(Results(shop).difference(ONE, None, "HPSv2"), [[1, 2]])


def test_seeds_that_are_alike():
    """Most have 9 and 20; of equally many it is the first seed's."""
    assert alike({0: (9, 30), 1: (9, 20), 4: (9, 20)}) == ([1, 4], [0])
    assert alike({2: (9, 30), 3: (9, 20)}) == ([2], [3])
    assert alike({}) == ([], [])
