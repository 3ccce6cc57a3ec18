import hashlib
import math

import pytest

from tastemaker.data.comparison import Comparison, parse_label


def test_swap_tells_the_same_story() -> None:
    comparison = Comparison("id", "cat", "x", "y", "a", "file", "me", "one", "two")
    swapped = comparison.swap()
    assert (swapped.image_a, swapped.image_b, swapped.label) == ("y", "x", "b")
    assert (swapped.model_a, swapped.model_b, swapped.judge, swapped.pair_id) == ("two", "one", "me", "id")
    assert swapped.swap() == comparison
    assert Comparison("id", "cat", "x", "y", "tie").swap().label == "tie"


def test_prompt_sha_is_of_the_utf8() -> None:
    assert Comparison("id", "größe 🐈", "x", "y", "a").prompt_sha == hashlib.sha256("größe 🐈".encode()).hexdigest()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *[(form, "a") for form in ("a", "A", " left ", 1, 1.0, "1", "1.0")],
        *[(form, "b") for form in ("b", "Right", 0, 0.0, "0")],
        *[(form, "tie") for form in ("tie", "TIE", 0.5, "0.5", ".5")],
        *[(form, None) for form in (None, "", "  ", math.nan, "nan")],
    ],
)
def test_label_forms(written: object, meant: str | None) -> None:
    assert parse_label(written) == meant


@pytest.mark.parametrize("written", ["c", "both", 2, -1, 0.7, "0.7", True, False, [], {}, "inf"])
def test_other_labels_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="none of a, b, tie"):
        parse_label(written)
