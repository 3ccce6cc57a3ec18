"""Reliability: by hand, equal answers, order."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.rank.detect import Bin, reliability


def test_by_hand() -> None:
    """Two bins: said 0.2 and seen ½, said 0.8 and seen 1; the error is ½·0.3 + ½·0.2."""
    found = reliability(np.array([0.9, 0.1, 0.3, 0.7]), np.array([1, 0, 1, 1]), bins=2)
    assert found.bins == (Bin(2, pytest.approx(0.2), 0.5), Bin(2, pytest.approx(0.8), 1.0))
    assert found.error == pytest.approx(0.25)
    assert found.as_json()["calibration_error"] == found.error


def test_true_probabilities_are_reliable() -> None:
    random = np.random.default_rng(0)
    p = random.random(40_000)
    happened = random.random(40_000) < p
    assert reliability(p, happened).error < 0.01
    assert reliability(p**2, happened).error > 0.1
    assert [one.pairs for one in reliability(p, happened).bins] == [4000] * 10


def test_equal_answers_share_a_bin() -> None:
    """All say ½ and half come true: the error is 0, however they stand."""
    assert reliability(np.full(10, 0.5), np.arange(10) < 5).error == 0
    assert len(reliability(np.full(10, 0.5), np.arange(10) < 5).bins) == 1
    assert sum(one.pairs for one in reliability(np.array([0.5] * 7 + [0.1, 0.9, 0.9]), np.ones(10)).bins) == 10


def test_the_order_does_not_change_a_bit() -> None:
    random = np.random.default_rng(1)
    p, happened, shuffle = np.round(random.random(999), 2), random.random(999) < 0.5, random.permutation(999)
    assert reliability(p, happened) == reliability(p[shuffle], happened[shuffle])


def test_none() -> None:
    with pytest.raises(ValueError, match="needs answers"):
        reliability(np.zeros(0), np.zeros(0))
