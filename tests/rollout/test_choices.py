"""Tables that people fill in → choices."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest

from support.choices_example import (
    CAT,
    CHOSEN,
    HEADER,
    PROMPTS,
    SAMPLES,
    fill,
    found,
    rate,
    refused,
    write,
    write_lines,
)
from tastemaker.rollout.choices import Choice, dominance, name_of, read, write_template


@pytest.mark.parametrize(("place", "name"), [((3, 2), "00003-2"), ((0, 11), "00000-11"), ((123456, 0), "123456-0")])
def test_names(place: tuple[int, int], name: str) -> None:
    assert name_of(*place) == name


@pytest.mark.parametrize(
    ("a", "b", "tie", "label"),
    [
        ([2], [1], 0.0, "a"),
        ([1], [2], 0.0, "b"),
        ([1], [1], 0.0, "tie"),
        ([2, 1], [1, 1], 0.0, "a"),
        ([2, 1], [1, 2], 0.0, "tie"),
        ([1, 1, 1], [1, 1, 2], 0.0, "b"),
        ([1.5], [1.0], 0.5, "tie"),
        ([1.5, 3.0], [2.0, 2.0], 0.5, "a"),
        ([1.25, 3.0], [2.0, 2.0], 0.5, "tie"),
        ([-1.0], [-2.0], 0.5, "a"),
    ],
)
def test_dominance(a: list[float], b: list[float], tie: float, label: str) -> None:
    """1.5 is worse than 2.0 by 0.5, which a tie of 0.5 forgives, and 1.25 by 0.75, which it does not."""
    assert dominance(a, b, tie) == label


def test_dominance_is_antisymmetric() -> None:
    for a, b in itertools.product(itertools.product(range(3), repeat=2), repeat=2):
        assert dominance(b, a) == {"a": "b", "b": "a", "tie": "tie"}[dominance(a, b)]


def test_the_template_has_a_row_for_every_pair(tmp_path: Path) -> None:
    path = write_template(tmp_path / "new", PROMPTS, SAMPLES)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert path == tmp_path / "new/choices.csv"
    assert len(lines) == 1 + 3 * 3  # (3 choose 2) = 3
    assert lines[:3] == [
        HEADER,
        "a cat,pictures/00000-0.png,pictures/00000-1.png,",
        "a cat,pictures/00000-0.png,pictures/00000-2.png,",
    ]
    assert [file.name for file in path.parent.iterdir()] == ["choices.csv"]


def test_the_template_leaves_what_was_filled_in(tmp_path: Path) -> None:
    path = write(tmp_path, *CAT)
    before = path.read_bytes()
    assert write_template(tmp_path, PROMPTS, SAMPLES) == path
    assert path.read_bytes() == before


def test_a_filled_template_is_read(tmp_path: Path) -> None:
    labels = ["a", "b", "tie", "left", "right", "0.5", "1", "0", " Tie "]
    fill(write_template(tmp_path, PROMPTS, SAMPLES), labels)
    pairs = [(p, a, b) for p in range(3) for a, b in [(0, 1), (0, 2), (1, 2)]]
    meant = ["a", "b", "tie"] * 3
    assert found(tmp_path) == [(*pair, label) for pair, label in zip(pairs, meant, strict=True)]


@pytest.mark.parametrize("prompt", ["=1+1", "a\rb", "  a  ", 'say "hi"', "a;b\tc", "\u2028line", "it's, \r\n well"])
def test_any_prompt_survives_the_template(tmp_path: Path, prompt: str) -> None:
    fill(write_template(tmp_path, [prompt], 2), ["b"])
    assert read(tmp_path, [prompt], 2) == [Choice(0, 0, 1, "b")]


def test_what_is_missing(tmp_path: Path) -> None:
    assert found(tmp_path) == "no choices.csv, choices.jsonl or ratings.json yet"
    path = write_template(tmp_path, PROMPTS, SAMPLES)
    assert found(tmp_path) == "choices.csv: no label yet"
    fill(path, ["a", "b"] + [""] * 7)
    assert found(tmp_path) == "choices.csv: 7 of 9 rows have no label yet"
    fill(path, ["a"] * 8 + [" "])
    assert found(tmp_path) == "choices.csv: 1 of 9 rows has no label yet"


def test_rows_that_were_deleted_or_emptied_are_not_judged(tmp_path: Path) -> None:
    write(tmp_path, CAT[1], "", ",,,", " , ,,")
    assert found(tmp_path) == [CHOSEN[1]]


def test_all_forms_of_a_table_say_the_same(tmp_path: Path) -> None:
    names = [("00000-0", "pictures/00000-1.png"), ("00000-0.png", " 00000-2 "), ("pictures/00000-1", "00000-2.png")]
    labels = [1, "right", 0.5]
    rows = [{"image_a": a, "image_b": b, "label": label} for (a, b), label in zip(names, labels, strict=True)]
    write_lines(tmp_path, {**rows[0], "judge": "me", "prompt": None}, rows[1], {**rows[2], "prompt": "a cat"})
    assert found(tmp_path) == CHOSEN
    (tmp_path / "choices.jsonl").unlink()
    write(
        tmp_path, "x,1,00000-0,00000-1", "x,0,00000-0,00000-2", "x,.5,00000-1,00000-2", header="?,label,image_a,image_b"
    )
    assert found(tmp_path) == CHOSEN


def test_what_a_spreadsheet_writes(tmp_path: Path) -> None:
    text = "\r\n".join([HEADER, '"a cat","pictures/00000-0.png","pictures/00000-1.png","A"', *CAT[1:], ",,,"])
    (tmp_path / "choices.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert found(tmp_path) == CHOSEN


def test_order_of_rows_and_of_images_does_not_matter(tmp_path: Path) -> None:
    draw = random.Random(0)
    pairs = [(p, a, b) for p in range(3) for a, b in [(0, 1), (0, 2), (1, 2)]]
    rows = [(p, a, b, draw.choice(["a", "b", "tie"])) for p, a, b in pairs]
    turned = [(p, b, a, {"a": "b", "b": "a", "tie": "tie"}[label]) for p, a, b, label in rows]
    assert {label for *_, label in rows} == {"a", "b", "tie"}
    mixed = [draw.choice(both) for both in zip(rows, turned, strict=True)]
    draw.shuffle(mixed)
    for version in (rows, turned, mixed, mixed + rows):
        write(tmp_path, *(f",{name_of(p, a)},{name_of(p, b)},{label}" for p, a, b, label in version))
        assert found(tmp_path) == rows


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a cat,00000-0,00000-1,c", "line 3: label: 'c' is no label; write a, b or tie"),
        ("a cat,00000-0,00000-1,liked", "line 3: label: 'liked' is no label"),
        ("a cat,00000-0,0-1,a", "line 3: image_b: '0-1' is no picture; write 00000-1"),
        ("a cat,00000-01,00000-1,a", "line 3: image_a: '00000-01' is no picture"),
        ("a cat,,00000-1,a", "line 3: image_a: '' is no picture"),
        ("a cat,../00000-0.png,00000-1,a", "line 3: image_a: '../00000-0.png' is no picture"),
        ("a cat,00000-0,00000-٣,a", "line 3: image_b: .* is no picture"),
        ("a cat,00003-0,00003-1,a", "line 3: image_a: '00003-0' .* prompts up to 2 and samples up to 2; correct or"),
        ("a cat,00000-0,00000-3,a", "line 3: image_b: '00000-3' is not of this round"),
        (f"a cat,00000-0,{'9' * 5000}-1,", "line 3: image_b: '999.* is no picture"),
        (",00000-0,00001-1,a", "line 3: image_a, image_b: pictures of different prompts; .* or delete the row"),
        (",00000-1,pictures/00000-1.png,", "line 3: image_a, image_b: twice the same picture"),
        ("a dog,00000-0,00000-1,a", "line 3: prompt: 'a dog', but 00000-0 is of 'a cat'; correct the cell or empty it"),
        ("a cat,00000-0,00000-1,b", "line 3: label: line 2 says otherwise; delete one of the two"),
        ("a cat,00000-1,00000-0,a", "line 3: label: line 2 says otherwise"),
        ("a cat,00000-0,00000-1,tie", "line 3: label: line 2 says otherwise"),
        ("a cat,00000-0,00000-1", "line 3: 1 fewer cells than the header; correct the row or delete it"),
        ("a, cat,00000-0,00000-1,a", "line 3: 1 more cells than the header"),
    ],
)
def test_a_wrong_row_is_refused_even_before_all_is_filled_in(tmp_path: Path, row: str, words: str) -> None:
    write(tmp_path, CAT[0], row, "a cat,00000-0,00000-2,")
    refused(tmp_path, f"choices.csv: {words}")


def test_line_numbers_count_the_lines_of_a_long_cell(tmp_path: Path) -> None:
    write(tmp_path, '"a ""big"" dog,\nin two lines",00001-0,00001-1,a', "a cat,00000-0,00000-1,x")
    refused(tmp_path, "choices.csv: line 4: label")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {"image_a": "00000-0", "image_b": "00000-1"},
            "line 1: no label in 'image_a, image_b'; it takes prompt, image_a",
        ),
        ({"image_a": "00000-0", "image_b": 1, "label": "a"}, "line 1: image_b: 1 is no picture"),
        ({"image_a": "00000-0", "image_b": "00000-1", "label": True}, "line 1: label: True is no label"),
        ({"image_a": "00000-0", "image_b": "00000-1", "label": "a", "prompt": 0}, "line 1: prompt: '0', but 00000-0"),
        ({"label": 0}, "line 1: no image_a, image_b in 'label'"),
        ([1], "line 1: not an object; correct the row or delete it"),
    ],
)
def test_a_wrong_object_is_refused(tmp_path: Path, row: Any, words: str) -> None:
    write_lines(tmp_path, row)
    refused(tmp_path, f"choices.jsonl: {words}")


def test_a_line_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "choices.jsonl").write_text("{\n")
    refused(tmp_path, "choices.jsonl: line 1: .*; correct the row")


def test_unjudged_objects_are_counted(tmp_path: Path) -> None:
    row = {"image_a": "00000-0", "image_b": "00000-1"}
    write_lines(tmp_path, {**row, "label": None}, {**row, "label": "a"})
    assert found(tmp_path) == "choices.jsonl: 1 of 2 rows has no label yet"


@pytest.mark.parametrize("text", ["", HEADER, HEADER + "\r\n,,,\r\n"])
def test_a_table_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "choices.csv").write_text(text)
    refused(tmp_path, "choices.csv: has no rows; judge at least one pair, or remove the file")


def test_columns_must_be_there_and_separated_by_commas(tmp_path: Path) -> None:
    write(tmp_path, "00000-0,00000-1", header="image_a,image_b")
    refused(tmp_path, "choices.csv: line 2: no label in 'image_a, image_b'; it takes .*, with commas")
    write(tmp_path, CAT[0].replace(",", ";"), header=HEADER.replace(",", ";"))
    refused(tmp_path, "choices.csv: line 2: no image_a, image_b, label in 'prompt;image_a;.*with commas")
    write(tmp_path, "a cat, red;00000-0;00000-1;a", header=HEADER.replace(",", ";"))
    refused(tmp_path, "choices.csv: line 2: 1 more cells than the header; .* commas separate columns")


def test_what_is_not_filled_in_yields_to_what_is(tmp_path: Path) -> None:
    write_template(tmp_path, PROMPTS, SAMPLES)
    rate(tmp_path, [[None] * 3] * 3)
    assert found(tmp_path) == "choices.csv: no label yet"
    rate(tmp_path, [[1, 2, None]] * 3)
    assert found(tmp_path) == "ratings.json: 3 of 9 entries have no rating yet"
    rate(tmp_path, [[1, 1, 1]] * 3)
    assert isinstance(choices := found(tmp_path), list)
    assert {choice.label for choice in choices} == {"tie"}


def test_two_files_that_are_filled_in_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *CAT)
    write_lines(tmp_path, {"image_a": "00000-0", "image_b": "00000-1", "label": "a"})
    refused(tmp_path, "choices.csv and choices.jsonl are filled in; keep one of them and remove the rest")
    write(tmp_path, CAT[0], "a cat,00000-0,00000-2,")
    refused(tmp_path, "choices.csv and choices.jsonl are filled in")
