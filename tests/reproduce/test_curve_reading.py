"""Peaks that luck does not flatter, lines that are compared at equal samples, and seeds with other checkpoints."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from support.reproduced import by_hand, write_curve
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.curve_reading import Line, apart, halves, highest, peak, peaks, read
from tastemaker.reproduce.results import Results, p_value

BEST, DRAWN = Arm("world", Pairs("best", "world", 1.0, 1)), Arm("world", Pairs("all", passes=1))
STEP = 16
"""Pairs of a step in the small world."""
SEEDS, CHECKPOINTS, PROMPTS = 5, 8, 40


def columns(mean):
    return {"utility": [mean - 1, mean + 1], "correct": [0.0, 1.0]}


def line(scores, seeds=range(SEEDS), pairs=None):
    pairs = range(1, scores.shape[1] + 1) if pairs is None else pairs
    return Line(tuple(seeds), (), tuple(pairs), {"utility": scores})


def noise(number, of_seeds=0.3):
    """Scores that differ by chance alone, of seed and checkpoint and of everything."""
    drawn = np.random.default_rng(number)
    shape = SEEDS, CHECKPOINTS, PROMPTS
    return drawn.normal(0, of_seeds, (*shape[:2], 1)) + drawn.normal(0, 0.2, shape)


def test_points_by_hand(tmp_path):
    """Steps in the order of their numbers, not of their digits; a step is 16 pairs; rows are seeds."""
    shop = by_hand(tmp_path, 2)
    write_curve(shop, BEST, 0, {20: columns(1.0), 100: columns(4.0), 9: columns(0.0)})
    write_curve(shop, BEST, 1, {9: columns(1.0), 20: columns(5.0), 100: columns(0.0)})
    found = read(Results(shop), BEST)
    assert (found.pairs, found.seeds, found.left) == ((9 * STEP, 20 * STEP, 100 * STEP), (0, 1), ())
    np.testing.assert_allclose(found.scores["utility"].mean(2), [[0, 1, 4], [1, 5, 0]])
    assert found.scores["utility"].shape == (2, 3, 2)
    assert read(Results(shop), Arm("world")) == Line()


def test_the_last_step_may_be_a_part_of_one(tmp_path):
    shop = by_hand(tmp_path, 2)
    write_curve(shop, DRAWN, 3, {100: columns(1.0), 185: columns(1.0)})
    budget = shop.profile.budget(DRAWN)
    assert 184 * STEP < budget < 185 * STEP
    assert read(Results(shop), DRAWN).pairs == (100 * STEP, budget)


def test_seeds_with_other_checkpoints_than_most_are_left_out(tmp_path):
    shop = by_hand(tmp_path, 2)
    for seed, steps in enumerate(((9, 30), (9, 20), (9, 20), (9,))):
        write_curve(shop, BEST, seed, {step: columns(float(seed)) for step in steps})
    found = read(Results(shop), BEST)
    assert (found.seeds, found.left, found.pairs) == ((1, 2), (0, 3), (9 * STEP, 20 * STEP))
    np.testing.assert_allclose(found.scores["utility"].mean((1, 2)), [1, 2])


def test_halves_hold_every_prompt_once_and_are_the_same_each_time():
    first, second = halves(7)
    assert sorted([*first, *second]) == list(range(7))
    assert len(first) == 3
    assert list(first) == list(halves(7)[0])
    assert sorted(halves(100)[0]) != list(range(50)), "prompts may be sorted by theme"


def test_a_peak_is_looked_for_on_one_half_and_told_of_the_other():
    """On half A the second checkpoint is highest by 1; on half B the first by 5, and the end is at 0.25, not 0.5."""
    scores = np.full((SEEDS, 3, PROMPTS), 0.5)
    first, second = halves(PROMPTS)
    scores[:, 1, first], scores[:, 0, second], scores[:, 2, second] = 1.5, 5.5, 0.25
    found = peak(line(scores), "utility")
    assert (found.after, found.places, found.last) == (2, (2,) * SEEDS, 3)
    assert (found.height.value, found.fall.value) == (0.5, -0.25)
    assert (found.p, found.then) == (0.0, "falls")


def test_a_seed_has_no_say_in_where_its_own_peak_is():
    """Seed 0 alone is high at the first checkpoint, by 10, the others at the second by 1: together the first is highest
    (10 > 4); for seed 0 it is the second, where it has 0."""
    scores = np.zeros((SEEDS, 3, PROMPTS))
    scores[0, 0], scores[1:, 1] = 10, 1
    found = peak(line(scores), "utility")
    assert highest(scores) == 0
    assert (found.after, found.places) == (1, (2, 1, 1, 1, 1))
    assert found.height.value == 0
    assert found.then == "the end is not distinguishable from it"


def test_luck_is_not_called_a_fall():
    """Of flat lines the naive way from the highest mean to the end falls by far more than 0; this one does not."""
    told = [peak(line(noise(number)), "utility").fall.value for number in range(200)]
    naive = [(means[-1] - means.max()) for number in range(200) for means in [noise(number).mean((0, 2))]]
    assert np.mean(naive) < -0.15
    assert abs(np.mean(told)) < 3 * np.std(told) / np.sqrt(200)


def test_what_rises_to_the_end_has_no_fall():
    scores = np.tile(np.arange(3.0)[None, :, None], (SEEDS, 1, PROMPTS))
    found = peak(line(scores), "utility")
    assert (found.fall.value, found.p, found.then) == (0, 1, "highest at the end")


def test_seeds_that_disagree_about_the_end():
    """Seed 0 alone is high at the end: the others' peak is there, its own is not."""
    scores = np.zeros((SEEDS, 3, PROMPTS))
    scores[0, 2], scores[1:, 1] = 10, 1
    found = peak(line(scores), "utility")
    assert found.places == (2, 3, 3, 3, 3)
    assert found.then == "the end is not distinguishable from it"


def test_a_line_that_is_higher_at_the_end_on_other_prompts_has_no_peak():
    scores = np.zeros((SEEDS, 3, PROMPTS))
    first, second = halves(PROMPTS)
    scores[:, 1, first], scores[:, 2, second] = 1, 1
    assert peak(line(scores), "utility").then == "rises again: not a peak"


def test_p_of_peaks_is_corrected_over_all_lines():
    """Holm of two: the smaller doubled, the other at least that."""
    some = [line(noise(1, 0.1)), line(noise(2, 0.1))]
    raw = [peak(one, "utility").p for one in some]
    found = [rows[0].p for rows in peaks(some)]
    assert min(found) == pytest.approx(min(1, 2 * min(raw)))
    assert max(found) == pytest.approx(max(min(found), max(raw)))
    assert min(raw) < 0.5, "else all are 1"
    assert peaks([line(noise(1)[:4], range(4)), Line()]) == [[], []]


def test_lines_are_compared_on_what_both_have():
    """Seeds 1–5 and the second and third checkpoint: 0.5 there, 9 elsewhere."""
    one, other = np.zeros((6, 3, PROMPTS)), np.zeros((6, 2, PROMPTS))
    one += 9.0
    one[1:, 1:] = 0.5
    found = apart(line(one, range(6), (16, 32, 48)), line(other, range(1, 7), (32, 48)))
    assert [(row.pairs, row.by.value) for row in found] == [(None, 0.5), (32, 0.5), (48, 0.5)]
    assert apart(line(one, range(6)), line(other, range(2, 8))) == [], "four seeds"
    assert apart(line(one, range(6), (16, 32, 48)), line(other, range(6), (5, 6))) == [], "no number of pairs"


def test_p_of_the_comparison_is_corrected_over_checkpoints():
    """Of one judge the mean stands alone; each checkpoint's is the raw one times 1 to 8, in the same order."""
    one, other = noise(3) + 0.3, noise(4)
    mean, *found = apart(line(one), line(other))
    assert mean.p == p_value((one - other).mean(1))
    raw = [p_value((one - other)[:, place]) for place in range(CHECKPOINTS)]
    assert all(p <= row.p <= min(1, len(raw) * p) for p, row in zip(raw, found, strict=True))
    ranked = [found[place].p for place in np.argsort(raw)]
    assert all(low <= high for low, high in pairwise(ranked))
    assert ranked[0] == pytest.approx(min(1, len(raw) * min(raw)))


def test_means_of_two_judges_are_corrected_together():
    one, other = (replace(line(some), scores={"utility": some, "correct": some}) for some in (noise(3) + 0.3, noise(4)))
    means = [row.p for row in apart(one, other) if row.every]
    assert means == pytest.approx([2 * p_value((noise(3) + 0.3 - noise(4)).mean(1))] * 2)
