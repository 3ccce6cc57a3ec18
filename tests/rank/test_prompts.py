"""Spread over prompts: caps, turns and figures by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.base.errors import UserError
from tastemaker.rank.prompts import Spread, distribution, in_turn, over

PROMPTS = np.array([4, 4, 2, 4, 2, 9])  # best pair first


def test_the_cap_keeps_the_best_of_each() -> None:
    assert over(PROMPTS, 1).tolist() == [False, True, False, True, True, False]
    assert over(PROMPTS, 2).tolist() == [False, False, False, True, False, False]


def test_in_turn_by_hand() -> None:
    """First the best of 4, 2 and 9 in their order, then the second of 4 and 2, then the third of 4."""
    assert in_turn(PROMPTS).tolist() == [0, 2, 5, 1, 4, 3]


def test_figures_by_hand() -> None:
    """Counts 1, 2, 3: H = −(⅙ ln ⅙ + ⅓ ln ⅓ + ½ ln ½); Gini = Σ|c_i − c_j| / (2·3·6) = 8/36 over ordered pairs."""
    found = distribution(PROMPTS)
    p = np.array([1, 2, 3]) / 6
    assert found["prompts"] == 3
    assert found["top_percent"] == 0.5
    assert found["effective"] == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert found["gini"] == pytest.approx(8 / 36)


def test_figures_of_the_extremes() -> None:
    even, one = distribution(np.arange(500) % 250), distribution(np.zeros(7, np.int64))
    assert even == {"prompts": 250, "top_percent": 4 / 500, "effective": pytest.approx(250), "gini": pytest.approx(0)}
    assert one == {"prompts": 1, "top_percent": 1.0, "effective": 1.0, "gini": 0.0}
    assert distribution(np.zeros(0, np.int64))["prompts"] == 0


def test_figures_do_not_notice_names_or_order() -> None:
    codes = np.random.default_rng(0).integers(0, 40, 999)
    assert distribution(codes) == distribution(np.random.default_rng(1).permutation(1000 - codes))


def test_refused() -> None:
    with pytest.raises(UserError, match="--per-prompt 0: must be at least 1"):
        Spread(per_prompt=0)
