"""Answers taken apart, by hand."""

from __future__ import annotations

import pytest

from tastemaker.study.units import distance, duels, named, places, tabulate, units
from tastemaker.study.vote import TIE, Answer, Image, Item, Kind, Vote


def item(kind: Kind, images: int = 3) -> Item:
    return Item(id=0, kind=kind, prompt="p", images=tuple(Image(f"s{i}") for i in range(images)))


def test_duels_by_hand() -> None:
    """Of the ranking 2, 0, 1: 0 beats 1, 2 beats both. The best of three beats two and says nothing of these."""
    assert list(duels(item("pair", 2), 0)) == [(0, 1, "a")]
    assert list(duels(item("pair", 2), 1)) == [(0, 1, "b")]
    assert list(duels(item("pair", 2), TIE)) == [(0, 1, TIE)]
    assert list(duels(item("best"), 1)) == [(0, 1, "b"), (1, 2, "a")]
    assert list(duels(item("rank"), (2, 0, 1))) == [(0, 1, "a"), (0, 2, "b"), (1, 2, "b")]
    assert list(duels(item("flag"), ((0, "x"),))) == []


def test_units_by_hand() -> None:
    assert list(units(item("best"), 1)) == [((), 1)]
    assert list(units(item("rank", 2), (1, 0))) == [((0, 1), "b")]
    flags = list(units(item("flag", 2), ((1, "x"),), ["x", "y"]))
    assert flags == [((0, "x"), False), ((0, "y"), False), ((1, "x"), True), ((1, "y"), False)]
    assert list(places(item("rank"), (2, 0, 1))) == [((0,), 1), ((1,), 2), ((2,), 0)]


@pytest.mark.parametrize(
    ("kind", "one", "other", "far"),
    [
        ("best", 0, 0, 0.0),
        ("best", 0, 2, 1.0),
        ("rank", (0, 1, 2), (0, 2, 1), 1 / 3),
        ("rank", (0, 1, 2), (2, 1, 0), 1.0),
        ("flag", (), (), 0.0),
        ("flag", ((0, "x"),), (), 1.0),
        ("flag", ((0, "x"), (1, "x")), ((0, "x"), (2, "y")), 2 / 3),
    ],
)
def test_distance_by_hand(kind: Kind, one: Answer, other: Answer, far: float) -> None:
    assert distance(item(kind), one, other) == distance(item(kind), other, one) == pytest.approx(far)
    assert distance(item(kind), one, one) == 0


def test_a_tie_is_as_far_from_either_side() -> None:
    assert [distance(item("pair", 2), TIE, side) for side in (0, 1, TIE)] == [1, 1, 0]


def test_the_table_of_two_raters() -> None:
    votes = [Vote("r", 0, "q", ((0, "x"),), 1, 1), Vote("s", 0, "q", ((1, "y"),), 1, 1)]
    assert named(votes) == ["x", "y"]
    assert tabulate({0: item("flag", 2)}, votes, ["x"]) == {
        (0, (0, "x")): {"r": True, "s": False},
        (0, (1, "x")): {"r": False, "s": False},
    }
