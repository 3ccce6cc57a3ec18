"""Cuts that the data choose: by hand, against a search, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.base.errors import UserError
from tastemaker.rank.choose import Cut, choose
from tastemaker.rank.threshold import knee, longest


def test_a_knee_below_the_chord() -> None:
    """Scaled: (0, 1), (¼, 0.2), (½, 0.1), (¾, 0.05), (1, 0): x + y − 1 is 0, −0.55, −0.4, −0.2, 0; over √2."""
    found = knee(np.array([1.0, 0.2, 0.1, 0.05, 0.0]))
    assert (found.kept, found.worth, found.above) == (2, 0.2, False)
    assert found.distance == pytest.approx(0.55 / np.sqrt(2))


def test_a_knee_above_the_chord_in_another_unit() -> None:
    """The same turned round, 10 w + 3: the good ones end at the fourth."""
    found = knee(10 * (1 - np.array([1.0, 0.2, 0.1, 0.05, 0.0])[::-1]) + 3)
    assert (found.kept, found.above) == (4, True)
    assert found.worth == pytest.approx(11.0)


def test_the_knee_of_a_hockey_stick() -> None:
    worth = np.concatenate([np.linspace(1, 0.2, 100), np.linspace(0.199, 0.1, 900)])
    assert abs(knee(worth).kept - 100) <= 1


@pytest.mark.parametrize("worth", [[], [0.5], [0.7, 0.5], [0.5] * 5])
def test_no_knee(worth: list[float]) -> None:
    with pytest.raises(UserError, match=r"--threshold knee: .* say --fraction"):
        knee(np.array(worth))


def test_the_longest_beginning_by_hand() -> None:
    """Means of 0.1, 0.3, 0.2, 0.6: 0.1, 0.2, 0.2, 0.3. At 0.2 the third is the last, though the second is bad."""
    wrong = np.array([0.1, 0.3, 0.2, 0.6])
    assert [longest(wrong, most) for most in (0.1, 0.15, 0.2, 0.29, 0.31)] == [1, 1, 3, 3, 4]
    assert longest(np.array([0.3, 0.0, 0.0]), 0.1 + 1e-9) == 3  # the first is above it, the mean of all is not


def test_none_is_sure_enough() -> None:
    with pytest.raises(UserError, match=r"--max-wrong-rate 0.05: none keeps it, the first pair has 0.1"):
        longest(np.array([0.1, 0.2]), 0.05)


def test_both_cut_the_order() -> None:
    worth, names = np.array([0.1, 1.0, 0.2, 0.0, 0.05]), list("abcde")
    kept, left = choose(worth, names, Cut(threshold="knee"))
    assert (kept.tolist(), left.tolist()) == ([1, 2], [0, 4, 3])
    wrong = np.array([0.2, 0.0, 0.1, 0.5, 0.3])
    kept, _ = choose(worth, names, Cut(max_wrong_rate=0.1), wrong=wrong)
    assert kept.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threshold": "elbow"}, "--threshold elbow: say knee"),
        ({"max_wrong_rate": 0.0}, "--max-wrong-rate 0.0: must be above 0"),
        ({"max_wrong_rate": 5.0}, "--max-wrong-rate 5.0"),
        ({"threshold": "knee", "count": 3}, "--count and --threshold: they exclude each other"),
        ({"threshold": "knee", "order": "random"}, "--threshold and --order random"),
        ({"max_wrong_rate": 0.1, "order": "random"}, "--max-wrong-rate and --order random"),
    ],
)
def test_refused(wrong: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Cut(**wrong)


def test_later_limits_stand_in_the_metadata_only_where_used() -> None:
    assert set(Cut().as_json()) == {"fraction", "count", "min_quality", "order", "seed"}
    assert Cut(max_wrong_rate=0.1).as_json()["max_wrong_rate"] == 0.1
