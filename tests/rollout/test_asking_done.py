"""When a round's study is done: how far people are, who closes it, what it bears, and where its votes lie."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from study.studies import BIN, postgresql
from support.asked_rounds import a_round, asked_and_answered, brighter, opened
from support.voters import joined, vote
from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.rollout import asking
from tastemaker.rollout.asking import Asked
from tastemaker.rollout.choices import Choice
from tastemaker.rollout.feedback import Round
from tastemaker.study import db
from tastemaker.study import votes as taken
from tastemaker.study.assign import next_task
from tastemaker.study.db import Store, open_study, set_state, state_of


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
