"""What a study asks of people, a drawn part of the tasks, and what the arguments of `study create` mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from study.pictured import generated
from study.studies import design, item
from tastemaker.base.errors import UserError
from tastemaker.study import arguments
from tastemaker.study.build import Source, Task, from_folders
from tastemaker.study.creating import make, needs, part
from tastemaker.study.design import Plan
from tastemaker.study.vote import Image


def source(number: int) -> Source:
    tasks = [Task(f"p{n}", (Image(f"{n}a"), Image(f"{n}b"))) for n in range(number)]
    return Source(tasks, lambda: iter(()))


def test_people_needed_by_hand() -> None:
    """Ten tasks of which two are checks, five raters each: 40 ratings.

    With a quota of five a person does one check (5·2/10) and four that count: ten people. Without a quota eight count
    and 40/8 = 5. With three raters a task and a quota of ten, three people are too few for no task: 24/8 = 3.
    """
    items = [*(item(n) for n in range(8)), item(8, gold=0), item(9, repeats=0)]
    assert needs(design(items, quota=5)) == {
        "tasks": 8, "repetitions": 1, "gold tasks": 1, "questions": ["preference"], "raters a task": 5,
        "ratings needed": 40, "tasks a person": 5, "people needed": 10,
    }  # fmt: skip
    assert needs(design(items))["people needed"] == 5
    assert needs(design(items, quota=3))["people needed"] == 20  # one check, two that count
    assert needs(design(items, raters_per_item=3))["people needed"] == 3


def test_a_quota_that_the_checks_eat_up_is_refused() -> None:
    items = [item(0), item(1, gold=0), item(2, gold=0), item(3, gold=0)]
    with pytest.raises(UserError, match="--quota 1: the checks leave no room"):
        needs(design(items, quota=1))


def test_a_part_is_drawn_by_the_seed_and_stands_in_the_sources_order() -> None:
    drawn = [[task.prompt for task in part(source(20), 5, seed).tasks] for seed in range(30)]
    assert all(len(set(prompts)) == 5 and prompts == sorted(prompts, key=lambda p: int(p[1:])) for prompts in drawn)
    assert {prompt for prompts in drawn for prompt in prompts} == {f"p{n}" for n in range(20)}
    assert part(source(20), 5, 3).tasks == part(source(20), 5, 3).tasks
    assert part(source(20), 20, 3).tasks == source(20).tasks == part(source(20), None, 3).tasks
    for count in (0, 21):
        with pytest.raises(UserError, match=f"--count {count}: the source has 20 tasks"):
            part(source(20), count, 0)


def test_nothing_is_written_where_the_plan_cannot_be(tmp_path: Path) -> None:
    folders = {name: generated(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 50))}
    table = tmp_path / "c.csv"
    table.write_text("prompt,category\nanother,animals\n")
    of = from_folders(folders, "pair", arguments.read_categories(table))
    with pytest.raises(UserError, match=r"c\.csv: names no prompt of the study"):
        make(tmp_path / "study", Plan(title="t"), of, categories=table)
    assert not (tmp_path / "study").exists()
    told = make(
        tmp_path / "study", Plan(title="t"), from_folders(folders, "pair", {"prompt 1": "animals"}), None, table
    )
    assert told["tasks by category"] == {"animals": 1, "none": 3}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'category,prompt,more\nanimals,"a ""cat"", asleep",1\nthings,NA,2\n'),
        ("a.tsv", 'prompt\tcategory\n"a ""cat"", asleep"\tanimals\nNA\tthings\n'),
        (
            "a.jsonl",
            '{"prompt": "a \\"cat\\", asleep", "category": "animals", "n": 1}\n'
            '{"category": "things", "prompt": "NA"}',
        ),
    ],
)  # fmt: skip
def test_categories_are_read_from_tables(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text("\ufeff" * name.endswith("csv") + text, encoding="utf-8")
    assert arguments.read_categories(tmp_path / name) == {'a "cat", asleep': "animals", "NA": "things"}


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("a.csv", b"prompt,kind\na,b\n", "category"),
        ("a.csv", b"prompt,category\na,\n", "row 1: lacks a prompt or a category; fill it in"),
        ("a.csv", b"prompt,category\na,b\na,c\n", "row 2: 'a' has another category above; give it one"),
        ("a.csv", b"prompt,category\na\n", "give .csv, .tsv or .jsonl"),
        ("a.csv", b"prompt,category\ncaf\xe9,b\n", "UTF8"),
        ("a.csv", b"", "give .csv, .tsv or .jsonl"),
        ("a.jsonl", b'{"prompt": "a"}\n', "row 1: lacks"),
        ("a.jsonl", b"[1]\n", "give .csv, .tsv or .jsonl"),
        ("a.jsonl", b'{"prompt": 1, "category": "b"}\n', "give .csv, .tsv or .jsonl"),
        ("a.txt", b"a", "unknown kind of table"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(tmp_path: Path, name: str, text: bytes, wrong: str) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(UserError) as caught:
        arguments.read_categories(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


def test_limits_of_rules_are_numbers() -> None:
    said: dict[str, Any] = arguments.rules(["gold_missed=0.4", "few-votes=3"])
    assert said == {"gold_missed": 0.4, "few_votes": 3}
    assert type(said["few_votes"]) is int
    for wrong in ("gold_missed", "=3", "gold_missed="):
        with pytest.raises(UserError, match=f"--rule {wrong}: say a rule and its limit"):
            arguments.rules([wrong])


def test_a_tenth_is_gold_where_there_is_gold(tmp_path: Path) -> None:
    assert [arguments.gold(None, None), arguments.gold(tmp_path, None), arguments.gold(tmp_path, 3)] == [0, 0.1, 3]
    with pytest.raises(UserError, match="--gold 3: there is nothing to take them from; give --gold-data"):
        arguments.gold(None, 3)
