"""A round as a study: what is asked, when it is done, and what choices the votes are."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from study.studies import BIN, postgresql
from support.voters import joined, vote
from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.rollout import asking
from tastemaker.rollout.asking import Asked
from tastemaker.rollout.choices import Choice
from tastemaker.rollout.feedback import Feedback, Round
from tastemaker.study import db
from tastemaker.study import votes as taken
from tastemaker.study.assign import next_task
from tastemaker.study.db import Store, open_study, set_state, state_of
from tastemaker.study.vote import Answer, Item


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(buffer, format="png")
    return buffer.getvalue()


SHADES = {files.sha256_bytes(png(shade)): shade for shade in range(40)}


def a_round(run: Path, *shades: list[int], **named: Any) -> Round:
    """A prompt a row; an image is its shade of red."""
    settings = {"folder": run / "rounds/round-000", "number": 0, "seed": 0, "rewards": {}}
    settings |= {"prompts": [f"prompt {p}" for p in range(len(shades))]}
    return Round(**settings | {"pngs": [[png(shade) for shade in row] for row in shades]} | named)


@contextmanager
def opened(round: Round) -> Iterator[Store]:
    store = open_study(round.folder / "study")
    yield store
    store.close()


def brighter(item: Item) -> Answer | None:
    """Of a pair the brighter; shades less than 2 apart are a tie."""
    a, b = (SHADES[image.sha] for image in item.images)
    return "tie" if abs(a - b) < 2 else int(b > a)


def best(item: Item) -> Answer | None:
    return max(range(len(item.images)), key=lambda place: SHADES[item.images[place].sha])


def ranking(item: Item) -> Answer | None:
    return tuple(sorted(range(len(item.images)), key=lambda place: -SHADES[item.images[place].sha]))


def dark(item: Item) -> Answer | None:
    """Images darker than 5 have wrong hands."""
    return tuple((place, "hands") for place, image in enumerate(item.images) if SHADES[image.sha] < 5)


def asked_and_answered(feedback: Asked, round: Round, says: Any, people: int = 1) -> list[Choice] | str:
    assert isinstance(feedback.choices(round), str)
    with opened(round) as store:
        for rater in joined(store, people):
            vote(store, rater, says)
    return feedback.choices(round)


def test_pairs_are_the_choices_that_people_made(tmp_path: Path) -> None:
    """Shades 3, 8, 9: 8 and 9 beat 3, and are equal to this person; 20 beats 10 and 1, 10 beats 1."""
    assert asked_and_answered(Asked(), a_round(tmp_path, [3, 8, 9], [20, 10, 1]), brighter) == [
        Choice(0, 0, 1, "b"),
        Choice(0, 0, 2, "b"),
        Choice(0, 1, 2, "tie"),
        Choice(1, 0, 1, "a"),
        Choice(1, 0, 2, "a"),
        Choice(1, 1, 2, "a"),
    ]


def test_the_best_beats_the_others_of_whom_nothing_is_known(tmp_path: Path) -> None:
    assert asked_and_answered(Asked(task="best"), a_round(tmp_path, [3, 9, 8]), best) == [
        Choice(0, 0, 1, "b"),
        Choice(0, 1, 2, "a"),
    ]


def test_a_ranking_is_a_choice_for_every_two(tmp_path: Path) -> None:
    assert asked_and_answered(Asked(task="rank"), a_round(tmp_path, [3, 9, 8]), ranking) == [
        Choice(0, 0, 1, "b"),
        Choice(0, 0, 2, "b"),
        Choice(0, 1, 2, "a"),
    ]


def test_a_flagged_image_loses_and_images_alike_are_not_compared(tmp_path: Path) -> None:
    """Shades 3 and 4 are flagged: each loses against 9, in whatever order they stand."""
    feedback = Asked(task="flag", flags=("hands", "unsafe"))
    assert asked_and_answered(feedback, a_round(tmp_path, [3, 9, 4], [1, 2, 3]), dark) == [
        Choice(0, 0, 1, "b"),
        Choice(0, 1, 2, "a"),
    ]


def test_equal_images_are_asked_about_once_and_the_answer_is_of_all_of_them(tmp_path: Path) -> None:
    """Rows 5 5 9 and 7 7 7: one question in all, two choices; 9 beats both fives."""
    round = a_round(tmp_path, [5, 5, 9], [7, 7, 7])
    assert asked_and_answered(Asked(), round, brighter) == [Choice(0, 0, 2, "b"), Choice(0, 1, 2, "b")]
    with opened(round) as store:
        assert len(store.design.items) == 1


def test_a_round_of_equal_images_asks_nothing(tmp_path: Path) -> None:
    round = a_round(tmp_path, [7, 7], [8, 8])
    assert Asked().choices(round) == []
    assert not (round.folder / "study").exists()


def test_a_prompt_that_comes_up_twice_is_asked_about_twice(tmp_path: Path) -> None:
    round = a_round(tmp_path, [3, 9], [20, 10], prompts=["same", "same"])
    assert asked_and_answered(Asked(task="best"), round, best) == [Choice(0, 0, 1, "b"), Choice(1, 0, 1, "a")]


def test_most_people_decide_and_equal_halves_are_a_tie(tmp_path: Path) -> None:
    """Of three people two prefer the brighter of 3 and 9; of two people one each is a tie."""

    def darker(item: Item) -> Answer | None:
        return 1 - int(brighter(item))  # type: ignore[arg-type]

    for raters, says, label in ((3, [brighter, darker, brighter], "b"), (2, [brighter, darker], "tie")):
        feedback, round = Asked(raters=raters), a_round(tmp_path / str(raters), [3, 9])
        assert isinstance(feedback.choices(round), str)
        with opened(round) as store:
            for rater, one in zip(joined(store, raters), says, strict=True):
                assert isinstance(feedback.choices(round), str)
                vote(store, rater, one)
        assert feedback.choices(round) == [Choice(0, 0, 1, label)]


def test_it_says_how_far_people_are_and_closes_the_study_when_they_are_done(tmp_path: Path) -> None:
    round = a_round(tmp_path, [3, 8, 20])
    where = f"`tastemaker study serve {tmp_path}` is where people answer"
    assert Asked().choices(round) == f"0 of 3 tasks have their answers; {where}"
    with opened(round) as store:
        (rater,) = joined(store, 1)
        vote(store, rater, brighter, most=2)
        once = Asked(wait=False).choices(round)
        assert once == f"2 of 3 tasks have their answers; {where}; run the same command again when they are done"
        set_state(store, "paused")
        assert Asked().choices(round) == f"2 of 3 tasks have their answers (paused); {where}"
        set_state(store, "open")
        vote(store, rater, brighter)
        assert state_of(store) == "open"
        assert len(Asked().choices(round)) == 3
        assert state_of(store) == "closed"
        assert next_task(store, rater, 1.0) == "closed"


def test_the_study_is_closed_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a task given in between would be answered for nothing."""
    whole, states = Asked._read, []

    def read(self: Asked, store: Store, round: Round) -> list[Choice]:
        states.append(state_of(store))
        return whole(self, store, round)

    monkeypatch.setattr(Asked, "_read", read)
    asked_and_answered(Asked(), a_round(tmp_path, [3, 9]), brighter)
    assert states == ["closed"]


def test_a_database_out_of_reach_is_borne_by_a_run_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program holds its lock: an error to a run that does not wait, or that has just begun."""
    round = a_round(tmp_path, [3, 9])
    assert isinstance(Asked().choices(round), str)
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(round.folder / "study/study.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="another program is writing to it"):
            Asked(wait=False).choices(round)
        told = Asked().choices(round)
        assert isinstance(told, str)
        assert "another program is writing to it" in told
    monkeypatch.setenv(asking.DATABASE, "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(UserError, match="start the server, or correct the URL"):
        Asked().choices(a_round(tmp_path / "other", [3, 9]))


def test_what_is_skipped_is_settled_and_gives_no_choice(tmp_path: Path) -> None:
    def sure(item: Item) -> Answer | None:
        answer = brighter(item)
        return None if answer == "tie" else answer

    found = asked_and_answered(Asked(), a_round(tmp_path, [3, 8, 9]), sure)
    assert found == [Choice(0, 0, 1, "b"), Choice(0, 0, 2, "b")]


def test_a_study_that_is_closed_early_gives_what_was_said(tmp_path: Path) -> None:
    round = a_round(tmp_path, [3, 8, 20])
    assert isinstance(Asked().choices(round), str)
    with opened(round) as store:
        (rater,) = joined(store, 1)
        set_state(store, "closed")
        told = Asked().choices(round)
        assert isinstance(told, str)
        assert told.startswith("closed before anything was decided, so open again; `tastemaker study serve ")
        assert state_of(store) == "open"
        vote(store, rater, brighter, most=1)
        set_state(store, "closed")
        assert len(Asked().choices(round)) == 1


def test_a_vote_on_a_task_given_before_the_study_was_closed_is_kept(tmp_path: Path) -> None:
    """`votes.take` takes it, and a second reading has it: so a round's choices are written down at once."""
    round = a_round(tmp_path, [3, 8, 20])
    assert isinstance(Asked().choices(round), str)
    with opened(round) as store:
        (rater,) = joined(store, 1)
        vote(store, rater, brighter, most=2)
        given = next_task(store, rater, 1.0)
        assert not isinstance(given, str)
        set_state(store, "closed")
        first = Asked().choices(round)
        taken.take(store, rater, given.token, {"preference": 0}, 1.0, "late", 2.0)
        assert (len(first), len(Asked().choices(round))) == (2, 3)


def test_votes_of_whom_the_rules_exclude_do_not_count(tmp_path: Path) -> None:
    """One who clicks within 0.1 s says the contrary; the median has to be 1 s, and who answers alone decides."""
    feedback = Asked(raters=2, rules={"median_seconds": 1.0})
    round = a_round(tmp_path, [3, 8, 20])
    assert isinstance(feedback.choices(round), str)
    with opened(round) as store:
        honest, hasty = joined(store, 2)
        vote(store, honest, brighter)
        vote(store, hasty, lambda item: 1 - int(brighter(item)), seconds=0.1)  # type: ignore[arg-type]
    assert feedback.choices(round) == [Choice(0, a, b, "b") for a, b in ((0, 1), (0, 2), (1, 2))]


def test_repetitions_are_asked_and_count_in_nothing(tmp_path: Path) -> None:
    feedback = Asked(repeats=0.5, rules={"self_disagreement": 0.5})
    round = a_round(tmp_path, [3, 8, 20, 30])
    assert len(asked_and_answered(feedback, round, brighter)) == 6
    with opened(round) as store:
        assert len(store.design.items) == 9 == feedback.work(1, 4)["tasks a round"]


def test_rounds_are_drawn_anew_and_a_round_always_alike(tmp_path: Path) -> None:
    orders = []
    for folder, number in (("one", 0), ("two", 0), ("three", 1)):
        round = a_round(tmp_path / folder, [*range(0, 16, 2)], number=number)
        Asked().choices(round)
        with opened(round) as store:
            orders.append([[image.sha for image in item.images] for item in store.design.items])
    assert orders[0] == orders[1] != orders[2]


def test_a_half_made_study_is_made_again_and_one_of_other_images_is_refused(tmp_path: Path) -> None:
    round = a_round(tmp_path, [3, 9])
    half = round.folder / f"{files.TEMPORARY}1-study"
    (half / "data").mkdir(parents=True)
    Asked().choices(round)
    assert not half.exists()
    other = a_round(tmp_path, [3, 10])
    with pytest.raises(UserError, match=r"^.*round-000/study: asks about other images .*; move it away to ask anew$"):
        Asked().choices(other)
    with opened(round) as store:
        assert state_of(store) == "open"


@pytest.mark.slow
@pytest.mark.skipif(not (BIN / "initdb").exists(), reason="no PostgreSQL server under /usr/lib/postgresql")
def test_votes_of_a_round_lie_in_its_schema_of_a_postgresql_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    round = a_round(tmp_path, [3, 8, 20])
    with postgresql() as url:
        monkeypatch.setenv(asking.DATABASE, url)
        assert isinstance(Asked().choices(round), str)
        store = open_study(round.folder / "study", url, "round_000")
        (rater,) = joined(store, 1)
        vote(store, rater, brighter)
        store.close()
        assert len(Asked().choices(round)) == 3
    assert not (round.folder / "study/study.sqlite").exists()


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a package is missing, and where only the database wants it."""
    assert Asked().missing() == []
    gone = {"sqlalchemy"}
    monkeypatch.setattr(asking, "find_spec", lambda name: None if name in gone else find_spec(name))
    assert Asked().missing() == [
        "feedback.kind: study needs sqlalchemy, which is not installed; get it with: pip install 'tastemaker[study]'"
    ]
    gone.symmetric_difference_update({"sqlalchemy", "psycopg"})
    assert Asked().missing() == []
    monkeypatch.setenv(asking.DATABASE, "postgresql://somewhere")
    (line,) = Asked().missing()
    assert line.endswith("get it with: pip install 'tastemaker[postgresql]'")


@pytest.mark.parametrize(("task", "choices"), [("pair", 6), ("best", 3), ("rank", 6), ("flag", 4)])
def test_the_work_of_a_round_is_what_is_asked(tmp_path: Path, task: str, choices: int) -> None:
    """Four images: 6 pairs, 3 losers, 6 pairs of a ranking; two flagged and two not are 4 pairs."""
    flags = ("hands",) if task == "flag" else ()
    feedback, round = Asked(task=task, flags=flags), a_round(tmp_path, [1, 10, 3, 20], [2, 4, 18, 30])
    says = {"pair": brighter, "best": best, "rank": ranking, "flag": dark}[task]
    found, work = asked_and_answered(feedback, round, says), feedback.work(2, 4)
    assert work["choices a round, at most"] == len(found) == 2 * choices
    with opened(round) as store:
        assert work["tasks a round"] == len(store.design.items)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"task": "vote"}, "'pair', 'best', 'rank' or 'flag'"),
        ({"task": "flag"}, "flags: .. with tasks of kind flag; name at least one"),
        ({"flags": ["hands"]}, "flags: .'hands'. with tasks of kind pair; leave them out"),
        ({"task": "flag", "flags": ["hands", "hands"]}, "give each name once"),
        ({"raters": 0}, "greater than or equal to 1"),
        ({"poll_seconds": 0}, "greater than 0"),
        ({"poll_seconds": 61}, "less than or equal to 60"),
        ({"title": ""}, "at least 1 character"),
        ({"repeats": 0.6}, "less than or equal to 0.5"),
        ({"rules": {"gold_missed": 0.2}}, "rules.gold_missed: no answer .* is known beforehand"),
        ({"rules": {"self_disagreement": 0.2}}, "rules.self_disagreement: nothing is asked twice; set repeats"),
        ({"rules": {"one_sied": 0.2}}, "Extra inputs"),
        ({"questions": ["appeal"]}, "Extra inputs"),
    ],
)
def test_settings_without_meaning_are_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        TypeAdapter(Feedback).validate_python({"kind": "study"} | given)
