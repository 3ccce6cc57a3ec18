"""What is made of several samples of a prompt, and which of them is the middle one."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.evaluate.samples import MODES, best, median, middle, only


def test_median_and_best_by_hand() -> None:
    """1, 9, 2 → 2 and 9; 4, 0, 6, 1 → (1 + 4)/2 and 6."""
    np.testing.assert_array_equal(median([[1, 9, 2], [3, 3, 3]]), [2, 3])
    np.testing.assert_array_equal(median([[4, 0, 6, 1]]), [2.5])
    np.testing.assert_array_equal(best([[1, 9, 2], [-3, -4, -5]]), [9, -3])
    assert set(MODES) == {"median", "best"}


def test_the_middle_sample_by_hand() -> None:
    """Of five the third in order; of 0 1 4 6 the lower middle, 1, which is sample 3; of equal ones the first."""
    np.testing.assert_array_equal(middle([[5, 1, 4, 2, 3]]), [4])
    np.testing.assert_array_equal(middle([[4, 0, 6, 1]]), [3])
    np.testing.assert_array_equal(middle([[7, 7, 7]]), [1])
    np.testing.assert_array_equal(middle([[2, 1]]), [1])
    np.testing.assert_array_equal(middle([[2]]), [0])


def test_the_chosen_sample_has_the_median_score_of_an_odd_number() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 5))
    np.testing.assert_array_equal(only(scores, middle(scores))[:, 0], median(scores))


def test_others_judge_the_same_sample() -> None:
    chosen = middle([[1.0, 2.0, 3.0], [9.0, 7.0, 8.0]])
    np.testing.assert_array_equal(only(np.array([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]]), chosen), [[20], [60]])


def test_a_sample_without_a_score_cannot_be_placed() -> None:
    with pytest.raises(ValueError, match="without a score"):
        middle([[1.0, np.nan, 2.0]])
