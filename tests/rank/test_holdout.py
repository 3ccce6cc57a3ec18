"""Held-out prompts: what is the same prompt."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tastemaker.rank.codes import code
from tastemaker.rank.holdout import held_out, normalised


@pytest.mark.parametrize(
    "other",
    ["A cat", "a  CAT ", "\ta\ncat", "ａ ｃａｔ", "a cat"],
)
def test_the_same_prompt(other: str) -> None:
    assert normalised(other) == "a cat"


def test_letters_that_fold_and_compose() -> None:
    assert normalised("Straße") == normalised("STRASSE")
    assert normalised("cafe\u0301") == normalised("CAF\u00c9")
    assert normalised("\u2121") == "tel"  # one sign that stands for three capitals
    assert normalised("\u0345") == normalised(normalised("\u0345"))


@pytest.mark.parametrize("other", ["a cat.", "a cat b", "acat", "a c\u0251t"])
def test_another_prompt(other: str) -> None:
    assert normalised(other) != "a cat"


def test_the_rows_of_held_out_prompts() -> None:
    prompts = ["a dog", "a cat", "A  Cat", "a dog"]
    columns = {"prompt": prompts, "prompt_sha": prompts, "image_a": list("abcd"), "image_b": list("efgh")}
    assert held_out(["a CAT", "a bird"]).has(code(pa.table(columns))).tolist() == [False, True, True, False]


def test_metadata_do_not_depend_on_the_order_or_the_writing() -> None:
    one, other = held_out(["a cat", "a dog"]), held_out(["A Dog", "a  cat", "a cat"])
    assert one.as_json() == other.as_json()
    assert one.as_json()["prompts"] == 2
    assert one.as_json() != held_out(["a cat", "a bird"]).as_json()
