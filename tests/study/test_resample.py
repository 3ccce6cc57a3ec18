"""The cluster bootstrap: binomial spread, whole clusters, keyed draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tastemaker.study.resample import Bootstrap, by_cluster, ratio


def test_sums_by_cluster_by_hand() -> None:
    sums = by_cluster(["p", "q", "p"], np.array([[1.0, 1], [0, 1], [0.5, 1]]))
    np.testing.assert_array_equal(sums, [[1.5, 2], [0, 1]])


def test_the_interval_of_a_coin_is_binomial() -> None:
    """100 clusters, half of them 1: the resampled mean is Bin(100, ½)/100, whose 2.5 % quantiles are 0.40 and 0.60."""
    columns = np.stack([np.arange(100) % 2, np.ones(100)], 1)
    found = Bootstrap(resamples=20_000).interval(ratio, columns)
    assert (found.value, found.low, found.high) == (0.5, pytest.approx(0.40, abs=0.011), pytest.approx(0.60, abs=0.011))


def test_confidence_widens() -> None:
    columns = np.stack([np.arange(50) % 2, np.ones(50)], 1)
    narrow, wide = (Bootstrap(confidence=part).interval(ratio, columns) for part in (0.5, 0.99))
    assert wide.low < narrow.low < 0.5 < narrow.high < wide.high


def test_repeating_rows_within_clusters_gains_nothing() -> None:
    """Ten times the votes of the same prompts is no more evidence."""
    worth = np.random.default_rng(0).integers(0, 2, 30).astype(float)
    columns = np.stack([worth, np.ones(30)], 1)
    once = Bootstrap().interval(ratio, by_cluster(range(30), columns))
    often = Bootstrap().interval(ratio, by_cluster([*range(30)] * 10, np.tile(columns, (10, 1))))
    assert (once.low, once.high) == pytest.approx((often.low, often.high))


def test_the_seed_is_the_draw() -> None:
    columns = np.stack([np.sqrt(np.arange(40)), np.ones(40)], 1)
    assert Bootstrap(seed=1).interval(ratio, columns) == Bootstrap(seed=1).interval(ratio, columns)
    assert Bootstrap(seed=1).interval(ratio, columns) != Bootstrap(seed=2).interval(ratio, columns)


def test_nothing_to_count() -> None:
    for columns in (np.zeros((0, 2)), np.zeros((3, 2))):
        found = Bootstrap().interval(ratio, columns)
        assert all(map(math.isnan, (found.value, found.low, found.high)))
