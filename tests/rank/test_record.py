"""KTO's selector, by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.rank.calibrate import Identity
from tastemaker.rank.judge import Judged, Scored, judge
from tastemaker.rank.record import records
from tastemaker.score.scores import Scores

# prompt p: w beats l twice and m once, m beats l, m and t are a tie; prompt q: l beats w
ROWS = [("p", "w", "l", "a"), ("p", "l", "w", "b"), ("p", "w", "m", "a"), ("p", "m", "l", "a"), ("p", "m", "t", "tie")]
ROWS += [("q", "w", "l", "b")]


def judged(rows: list[tuple[str, str, str, str]]) -> Judged:
    names = ("prompt_sha", "image_a", "image_b", "label")
    table = pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
    table = table.append_column("pair_id", pa.array([str(i) for i in range(len(rows))]))
    empty = pa.array([], pa.string())
    return judge(table, [Scored(Scores("s@1", "identity", empty, empty, np.zeros(0, np.float32)), Identity())])


def test_by_hand() -> None:
    """w won three of three and l lost three of three: their pairs are worth 3. m lost once, so its pairs are spoilt.

    In q the same images have a record of their own, of one comparison each.
    """
    assert records(judged(ROWS)).worth.tolist() == [3, 3, 0, 0, 0, 1]


def test_a_tie_is_compared_and_not_won() -> None:
    rows = [("p", "w", "l", "a"), ("p", "w", "x", "tie")]
    assert records(judged(rows)).worth.tolist() == [0, 0]


def test_the_less_compared_image_counts() -> None:
    rows = [("p", "w", "l", "a"), ("p", "w", "k", "a"), ("p", "w", "j", "a")]
    assert records(judged(rows)).worth.tolist() == [1, 1, 1]


def test_how_often_by_hand() -> None:
    """w 3, l 3, m 3, t 1 in p; w and l once in q."""
    found = records(judged(ROWS)).as_json()
    assert found == {"more_than_once": 0.5, "more_than_five": 0.0, "mean": pytest.approx(2.0), "most": 3}
