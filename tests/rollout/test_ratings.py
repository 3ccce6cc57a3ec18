"""`ratings.json`, a number or several a picture → choices."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from support.choices_example import PROMPTS, SAMPLES, fill, found, rate, refused
from tastemaker.rollout.choices import Choice, write_template


def test_ratings_by_hand(tmp_path: Path) -> None:
    rate(tmp_path, [[2, 1, 1.5], [0, 0, 0], [-1, 3, 3]])
    expected = ["a", "a", "b"] + ["tie"] * 3 + ["b", "b", "tie"]
    pairs = [(p, a, b) for p in range(3) for a, b in [(0, 1), (0, 2), (1, 2)]]
    assert found(tmp_path) == [(*pair, label) for pair, label in zip(pairs, expected, strict=True)]


def test_ratings_by_several_criteria(tmp_path: Path) -> None:
    """[2, 1] dominates [1, 1], not [1, 2]; [1, 1] is dominated by [1, 2]."""
    rate(tmp_path, [[[2, 1], [1, 1], [1, 2]], *[[[0, 0]] * 3] * 2])
    choices = found(tmp_path)
    assert choices[:3] == [Choice(0, 0, 1, "a"), Choice(0, 0, 2, "tie"), Choice(0, 1, 2, "b")]
    assert {choice[3] for choice in choices[3:]} == {"tie"}


def test_ratings_equal_the_choices_that_follow_from_them(tmp_path: Path) -> None:
    draw = random.Random(1)
    ratings = [[draw.randrange(3) for _ in range(SAMPLES)] for _ in PROMPTS]
    rate(tmp_path, ratings)
    rated = found(tmp_path)
    fill(
        write_template(tmp_path, PROMPTS, SAMPLES),
        [
            "left" if row[a] > row[b] else "right" if row[a] < row[b] else "tie"
            for row in ratings
            for a, b in [(0, 1), (0, 2), (1, 2)]
        ],
    )
    (tmp_path / "ratings.json").unlink()
    assert found(tmp_path) == rated


def test_null_is_not_rated_yet(tmp_path: Path) -> None:
    rate(tmp_path, [[None] * 3] * 3)
    assert found(tmp_path) == "ratings.json: no rating yet"
    rate(tmp_path, [[1, 2, None], [None, 1, 1], [0, 0, 0]])
    assert found(tmp_path) == "ratings.json: 2 of 9 entries have no rating yet"
    rate(tmp_path, [[None, [1, 2], [2, None]], *[[[0, 0]] * 3] * 2])
    assert found(tmp_path) == "ratings.json: 2 of 9 entries have no rating yet"
    rate(tmp_path, [[1, 2, None], *[[0, 0, 0]] * 2])
    assert found(tmp_path) == "ratings.json: 1 of 9 entries has no rating yet"


@pytest.mark.parametrize(
    ("ratings", "words"),
    [
        ({}, "ratings.json: {}; give a list of 3 rows, one a prompt"),
        ([[1, 2, 3]] * 2, "ratings.json: a list of 2; give a list of 3 rows"),
        ([[1, 2, 3], [1, 2], [1, 2, 3]], "row 1: a list of 2; give a list of 3 ratings, one a sample"),
        ([[1, 2, 3], None, [1, 2, 3]], "row 1: None; give a list of 3 ratings, one a sample, null for"),
        ([[1, 2, 3], [], [1, 2, 3]], "row 1: a list of 0;"),
        ([[1, 2, 3]] * 2 + [[1, "2", 3]], r"row 2, column 1 \(00002-1\): '2' is no rating; give a finite number"),
        ([[1, 2, True]] + [[1, 2, 3]] * 2, r"row 0, column 2 \(00000-2\): True is no rating"),
        ([[1, 2, float("nan")]] * 3, "row 0, column 2 .*: nan is no rating"),
        ([[1, float("-inf"), 3]] * 3, "row 0, column 1 .*: -inf is no rating"),
        ([[10**400, 2, 3]] * 3, "row 0, column 0 .*: 1000.* is no rating"),
        ([[None, [], [1]]] * 3, r"row 0, column 1 .*: \[\] is no rating"),
        ([[[1, 2], [1, [2]], [1, 2]]] * 3, r"row 0, column 1 .*: \[1, \[2\]\] is no rating"),
        ([[None, [1, 2], [1, 2, 3]]] * 3, "row 0, column 2 .*: 3 criteria, but 2 before it; rate all pictures"),
        ([[1, 2, 3]] * 2 + [[[1, 2], 2, 3]], "row 2, column 0 .*: 2 criteria, but 1 before it"),
    ],
)
def test_wrong_ratings_are_refused(tmp_path: Path, ratings: Any, words: str) -> None:
    rate(tmp_path, ratings)
    refused(tmp_path, words)


def test_ratings_that_are_no_json_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ratings.json").write_text("[[1, 2]")
    refused(tmp_path, "ratings.json: not readable as JSON")
