"""The design: what fits together, what is refused in one line, and that it is written once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from study.studies import design, item
from tastemaker.base.config import validate
from tastemaker.base.errors import UserError
from tastemaker.study import design as designs
from tastemaker.study.design import Design, Plan, read, write

ITEMS = (item(0), item(1), item(2, gold="tie"), item(3, repeats=1))


def test_it_is_the_same_after_it_was_written(tmp_path: Path) -> None:
    study = design(ITEMS, rules={"gold_missed": 0.3}, repeats=0.5, gold=1, quota=3)
    write(tmp_path, study)
    assert read(tmp_path) == study
    assert read(tmp_path).sha == study.sha
    assert (type(read(tmp_path).repeats), type(read(tmp_path).gold)) == (float, int)
    assert study.checks == 2


def test_another_design_does_not_replace_it(tmp_path: Path) -> None:
    write(tmp_path, design(ITEMS))
    before = (tmp_path / designs.STUDY).read_bytes()
    write(tmp_path, design(ITEMS))
    with pytest.raises(UserError, match=r"study\.json: another design stands here, and it is fixed; choose another"):
        write(tmp_path, design(ITEMS, seed=1))
    assert (tmp_path / designs.STUDY).read_bytes() == before


def test_every_field_is_part_of_the_key() -> None:
    changes: list[dict[str, Any]] = [
        {"title": "u"}, {"questions": ("appeal",)}, {"raters_per_item": 4}, {"quota": 2}, {"repeats": 1}, {"gold": 1},
        {"rules": {"few_votes": 2}}, {"minutes": 5.0}, {"seed": 1}, {"consent": "yes"},
        {"items": ITEMS[:3]},
    ]  # fmt: skip
    assert len({design(ITEMS).sha} | {design(**{"items": ITEMS} | change).sha for change in changes}) == 12
    assert {name for change in changes for name in change} | {"kind", "flags"} == set(Design.model_fields)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ((item(1),), "item 0: has the id 1"),
        ((item(0), item(1, "best")), "item 1: is of kind best, the study of kind pair"),
        ((item(0), item(1, repeats=0)), "item 1: repeats item 0, which does not stand two or more places before it"),
        ((item(0), item(1), item(2, repeats=5)), "item 2: repeats item 5, which does not stand"),
        ((item(0, gold=0), item(1), item(2, repeats=0)), "item 2: repeats item 0, which is another task"),
        ((item(0), item(1), item(7).model_copy(update={"id": 2, "repeats": 0})), "which is another task"),
        ((), "at least 1 item"),
    ],
)
def test_items_that_do_not_fit_are_refused(items: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Design(title="t", items=items)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"flags": ["hands"]}, r"flags: \['hands'\] with tasks of kind pair; leave them out"),
        ({"kind": "flag"}, r"flags: \[\] with tasks of kind flag; name at least one"),
        ({"questions": ["appeal", "appeal"]}, "give each name once"),
        ({"questions": ["beauty"]}, "'beauty' is unknown"),
        ({"raters_per_item": 0}, "raters_per_item: 0 should be greater than or equal to 1"),
        ({"quotas": 3}, "quotas: unknown field, did you mean 'quota'?"),
        ({"kind": "flag", "flags": ["a", " "]}, "none that is empty"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line(field: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        validate(Plan, {"title": "t"} | field, "plan.yaml")
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / designs.STUDY).write_text('{"title": "t"}')
    with pytest.raises(UserError, match=r"study\.json: items: missing"):
        read(tmp_path)


def test_flags_are_one_question() -> None:
    assert Plan(title="t", kind="flag", flags=("hands",)).asked == ("flags",)
    assert Plan(title="t", questions=("appeal", "alignment")).asked == ("appeal", "alignment")
