"""Non-dominated sorting: which front of the Pareto order each point stands on, larger being better.

A point is dominated by one that is at least as large everywhere and larger somewhere. Front 0 is dominated by nobody,
front 1 by points of front 0 only, and so on; equal points share a front.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np


def fronts(points: np.ndarray, most: int | None = None) -> np.ndarray:
    """Front of each point, int64 [n], of ``points`` [n, K].

    With two or three coordinates all fronts are found in O(n log² n). With more they are peeled one after the other
    until ``most`` points have one, and all that is left shares the next; memory is O(n) either way.
    """
    if not len(points):
        return np.zeros(0, np.int64)
    distinct, place, count = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    if points.shape[1] <= 3:
        found = _by_stairs(distinct)
    else:
        found = _peeled(distinct, count, len(points) if most is None else most)
    return found[place.reshape(-1)]


class _Stairs:
    """The second and third coordinates of a front as far as they rule: second ones rise, third ones fall."""

    def __init__(self) -> None:
        self.second: list[float] = []
        self.third: list[float] = []

    def above(self, y: float, z: float) -> bool:
        """Whether somebody here is at least (y, z)."""
        place = bisect_left(self.second, y)
        return place < len(self.third) and self.third[place] >= z

    def add(self, y: float, z: float) -> None:
        """Add (y, z), above which nobody is, and forget whom it is above."""
        end = first = bisect_right(self.second, y)
        while first and self.third[first - 1] <= z:
            first -= 1
        self.second[first:end], self.third[first:end] = [y], [z]


def _by_stairs(points: np.ndarray) -> np.ndarray:
    """By falling first coordinate, the front of a point is the first in which nobody so far is above it in the others.

    Whoever is dominated by a point of one front is dominated by one of every front before, so it is found by bisection.
    """
    y, z = points[:, -2:].T if points.shape[1] == 3 else (points[:, -1], np.zeros(len(points)))
    order = np.lexsort((-z, -y, -points[:, 0]))
    stairs: list[_Stairs] = []
    found = []
    for place in zip(y[order].tolist(), z[order].tolist(), strict=True):
        front = bisect_left(stairs, True, key=lambda one, place=place: not one.above(*place))  # type: ignore[misc]
        if front == len(stairs):
            stairs.append(_Stairs())
        stairs[front].add(*place)
        found.append(front)
    result = np.empty(len(points), np.int64)
    result[order] = found
    return result


def _peeled(points: np.ndarray, count: np.ndarray, most: int) -> np.ndarray:
    # Whoever dominates has a larger sum, or an equal one (rounding) and comes first by its coordinates.
    left = np.lexsort((*(-points.T), -points.sum(1)))
    found, front, done = np.empty(len(points), np.int64), 0, 0
    while len(left) and done < most:
        on_front = _undominated(points[left])
        found[left[on_front]] = front
        done += int(count[left[on_front]].sum())
        left, front = left[~on_front], front + 1
    found[left] = front
    return found


def _undominated(points: np.ndarray) -> np.ndarray:
    """bool [n], of distinct points of which none is dominated by a later one."""
    left, columns, found = np.arange(len(points)), points.T.copy(), np.zeros(len(points), bool)
    while len(left):
        found[left[0]] = True
        stays = np.logical_or.reduce([column > column[0] for column in columns])  # the first itself goes, too
        left, columns = left[stays], columns[:, stays]
    return found
