"""Items, answers and which vote of a rater stands."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from tastemaker.base.config import validate
from tastemaker.base.errors import UserError
from tastemaker.study.vote import TIE, Image, Item, Kind, Vote, canonical, last, misfit


def item(kind: Kind, images: int = 3, **more: Any) -> Item:
    return Item(id=7, kind=kind, prompt="p", images=tuple(Image(f"s{i}", f"m{i}") for i in range(images)), **more)


ANSWERS: list[tuple[Kind, int, Any]] = [
    ("pair", 2, 0),
    ("pair", 2, TIE),
    ("best", 3, 2),
    ("rank", 3, (2, 0, 1)),
    ("flag", 2, ((0, "hands"), (1, "unsafe"))),
    ("flag", 1, ()),
]


@pytest.mark.parametrize(("kind", "images", "answer"), ANSWERS)
def test_an_answer_fits_and_survives_json(kind: Kind, images: int, answer: Any) -> None:
    one = item(kind, images, gold=answer)
    assert misfit(one, answer) == ""
    assert Item.model_validate_json(one.model_dump_json()) == one
    assert one.gold == answer
    assert not one.measured


@pytest.mark.parametrize(
    ("kind", "images", "answer"),
    [
        ("pair", 2, 2), ("pair", 2, -1), ("pair", 2, True), ("pair", 2, "left"), ("pair", 2, None), ("pair", 2, 1.0),
        ("best", 3, 3), ("best", 3, TIE), ("best", 3, (0,)),
        ("rank", 3, (0, 1)), ("rank", 3, (0, 1, 1)), ("rank", 3, (0, 1, 3)), ("rank", 3, TIE), ("rank", 3, 0),
        ("rank", 2, (False, True)),
        ("flag", 2, ((2, "hands"),)), ("flag", 2, ((0, 1),)), ("flag", 2, 0), ("flag", 2, ((True, "hands"),)),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_named(kind: Kind, images: int, answer: Any) -> None:
    assert repr(answer)[:20] in misfit(item(kind, images), answer)
    if answer is not None:
        with pytest.raises(ValidationError, match="gold"):
            item(kind, images, gold=answer)


def test_a_task_needs_its_number_of_images() -> None:
    with pytest.raises(UserError, match=r"^study\.json: item 7: a task of kind pair with 3 images$"):
        validate(Item, item("best").model_dump() | {"kind": "pair"}, "study.json")
    for kind, images in (("pair", 1), ("best", 1), ("rank", 1), ("flag", 0)):
        with pytest.raises(ValidationError, match=f"of kind {kind} with {images} images"):
            item(kind, images)  # type: ignore[arg-type]


def test_what_json_gives_becomes_canonical() -> None:
    assert canonical([2, 0, 1]) == (2, 0, 1)
    assert canonical([[1, "z"], [0, "b"], [1, "z"], [0, "a"]]) == ((0, "a"), (0, "b"), (1, "z"))
    assert canonical([]) == ()
    assert canonical(TIE) == TIE
    assert canonical(1) == 1


def test_measured_is_what_checks_nobody() -> None:
    assert item("best").measured
    assert not item("best", gold=0).measured
    assert not item("best", repeats=3).measured


def test_the_highest_revision_stands() -> None:
    vote = Vote("r", 7, "preference", 0, 3.0, 100.0)
    changed, undone = replace(vote, answer=1, revision=1), replace(vote, answer=None, revision=2)
    assert last([vote, changed]) == last([changed, vote]) == [changed]
    assert last([vote, changed, undone]) == []
    assert last([vote, undone, replace(vote, revision=3)]) == [replace(vote, revision=3)]
    assert last([vote, replace(vote, answer=1, at=101.0)])[0].answer == 1


def test_votes_of_other_raters_items_and_questions_are_others() -> None:
    vote = Vote("r", 7, "preference", 0, 3.0, 100.0)
    others = [vote, replace(vote, rater="s"), replace(vote, item=8), replace(vote, question="appeal")]
    assert last(others) == others
    shuffled = [*others, *(replace(each, revision=1, answer=1) for each in others)]
    random.Random(0).shuffle(shuffled)
    assert sorted(map(repr, last(shuffled))) == sorted(repr(replace(each, revision=1, answer=1)) for each in others)
