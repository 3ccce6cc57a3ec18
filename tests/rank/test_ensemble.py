"""Several scorers become one: by hand, weights, invariances."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.base.errors import UserError
from tastemaker.rank.ensemble import Ensemble, blend, mean_rank, pareto_order

PSI = np.array([[[0.9, 0.2], [0.1, 0.4]], [[0.3, 0.8], [0.5, 0.0]]])  # [scorer, side, pair]


def test_mean_and_least_by_hand() -> None:
    """Winners (0.9 + 0.3)/2 and (0.2 + 0.8)/2; with weights 3 and 1: (3·0.9 + 0.3)/4 = 0.75."""
    assert blend(PSI, [1, 1])[0] == pytest.approx([0.6, 0.5])
    assert blend(PSI, [3, 1])[:, 0] == pytest.approx([0.75, (3 * 0.1 + 0.5) / 4])
    assert blend(PSI, [1, 1], "min").tolist() == [[0.3, 0.2], [0.1, 0.0]]


def test_a_missing_score_is_missing_in_the_blend() -> None:
    psi = PSI.copy()
    psi[1, 0, 0] = np.nan
    for combine in (None, "mean", "min"):
        assert np.isnan(blend(psi, [1, 1], combine)).tolist() == [[True, False], [False, False]]


def test_one_scorer_is_itself_to_the_last_bit() -> None:
    assert np.array_equal(blend(PSI[:1], [0.3]), PSI[0])


def test_mean_rank_by_hand() -> None:
    """Places among three, 0 the worst: (½, 1, 0) and, with two equal, (¼, ¼, 1)."""
    worth = np.array([[5.0, 9.0, 1.0], [0.2, 0.2, 0.7]])
    assert mean_rank(worth, [1, 1]) == pytest.approx([0.375, 0.625, 0.5])
    assert mean_rank(worth, [1, 3]) == pytest.approx([0.3125, 0.4375, 0.75])
    assert mean_rank(np.array([[4.0]]), [1]).tolist() == [0.0]


def test_ranks_do_not_notice_a_scorer_s_unit() -> None:
    worth = np.random.default_rng(0).random((2, 50))
    moved = np.array([np.exp(5 * worth[0]), worth[1]])
    assert np.array_equal(mean_rank(worth, [1, 2]), mean_rank(moved, [1, 2]))


def test_fronts_first_and_the_mean_within() -> None:
    """a (0.9, 0.1) and b (0.2, 0.9) are beaten by nobody, c (0.8, 0.05) by a; mean 0.55, 0.5, 0.425."""
    worth = np.array([[0.9, 0.2, 0.8], [0.1, 0.9, 0.05]])
    assert np.argsort(-pareto_order(worth)).tolist() == [1, 0, 2]


def test_a_front_comes_before_the_next_whatever_its_mean() -> None:
    """The first is above the last eight, the second beside it though poor: no mean brings the eight before it."""
    more = np.arange(8) / 100
    worth = np.array([[1.0, 0.0, *(0.9 + more)], [0.6, 0.7, *(0.5 - more)]])
    assert np.argsort(-pareto_order(worth)).tolist()[:2] == [0, 1]


def test_weights_by_name_or_id() -> None:
    scorers = ["hpsv2@ab", "clip@1", "clip@2"]
    assert Ensemble(weights={"hpsv2": 2.0, "clip@2": 0.5}).of(scorers) == [2.0, 1.0, 0.5]
    for wrong in ("pick", "clip"):  # nobody's, two scorers'
        with pytest.raises(UserError, match=f"--weight {wrong}: is not one of the scorers hpsv2@ab, clip@1"):
            Ensemble(weights={wrong: 2.0}).of(scorers)


def test_refused() -> None:
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match=r"--weight x=.*: must be above 0"):
            Ensemble(weights={"x": weight})
    with pytest.raises(UserError, match="--combine pareto has no weights"):
        Ensemble("pareto", {"x": 2.0})
