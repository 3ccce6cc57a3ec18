"""Non-dominated sorting: by hand, and against the definition."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tastemaker.rank.pareto import fronts


def by_definition(points: np.ndarray) -> list[int]:
    """Peel whoever is dominated by nobody that is left."""
    front, left, number = np.full(len(points), -1), set(range(len(points))), 0
    while left:
        beaten = {i for i in left for j in left if (points[j] >= points[i]).all() and (points[j] > points[i]).any()}
        front[list(left - beaten)] = number
        left, number = beaten, number + 1
    return front.tolist()


def test_by_hand() -> None:
    """(3, 1), (2, 2) and (1, 3) are beaten by nobody; (2, 1) by the first two; (1, 1) by (2, 1) too."""
    points = np.array([(1, 1), (3, 1), (2, 2), (2, 1), (1, 3), (2, 2)], float)
    assert fronts(points).tolist() == [2, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("coordinates", [1, 2, 3, 4])
@pytest.mark.parametrize("values", [3, 1000])
def test_against_the_definition(coordinates: int, values: int) -> None:
    points = np.random.default_rng(values).integers(0, values, (70, coordinates)) / 7.0
    assert fronts(points).tolist() == by_definition(points)


def test_only_so_many_fronts_as_are_needed() -> None:
    points = np.random.default_rng(0).random((300, 4))
    whole, some = fronts(points), fronts(points, most=60)
    last = some.max()
    assert (some < last).sum() >= 60
    assert (whole < last - 1).sum() < 60
    assert np.array_equal(some, np.minimum(whole, last))


def test_the_order_of_the_points_does_not_matter() -> None:
    points, shuffle = np.random.default_rng(2).integers(0, 9, (200, 3)) / 8, np.random.default_rng(3).permutation(200)
    assert np.array_equal(fronts(points)[shuffle], fronts(points[shuffle]))


def test_none_and_one() -> None:
    assert fronts(np.zeros((0, 3))).tolist() == []
    assert fronts(np.zeros((1, 4))).tolist() == [0]


@pytest.mark.parametrize(("coordinates", "seconds"), [(2, 1.0), (3, 1.6)])
def test_speed(coordinates: int, seconds: float) -> None:
    """50 k points: with room for a busy machine."""
    points = np.random.default_rng(0).random((50_000, coordinates))
    started = time.process_time()
    fronts(points)
    assert time.process_time() - started < seconds
