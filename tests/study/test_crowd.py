"""Many people at once: writers queue, and who only looks neither writes nor waits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from study.studies import design, item, joined, opened
from tastemaker.study import db
from tastemaker.study.assign import Given, next_task
from tastemaker.study.db import Store, Unavailable, assignment
from tastemaker.study.votes import every, take

MINUTES = 30.0
TENTH = MINUTES * 60 / 10  # seconds


def study(folder: Path, people: int) -> tuple[Store, list[str]]:
    store = opened(folder, design([item(n) for n in range(8)], minutes=MINUTES))
    return store, joined(store, people)


def begun(store: Store) -> list[float]:
    with store.read() as connection:
        return [*connection.execute(select(assignment.c.given)).scalars()]


def test_a_look_at_the_same_task_writes_nothing_for_a_while(tmp_path: Path) -> None:
    store, (rater,) = study(tmp_path, 1)
    given = next_task(store, rater, 0.0)
    for now, kept in [(TENTH - 1, 0.0), (TENTH, TENTH), (2 * TENTH - 1, TENTH), (2 * TENTH, 2 * TENTH)]:
        assert next_task(store, rater, now) == given
        assert begun(store) == [kept]


def test_who_looks_does_not_wait_for_who_writes(tmp_path: Path) -> None:
    store, (one, two) = study(tmp_path, 2)
    given = next_task(store, one, 0.0)
    with ThreadPoolExecutor(1) as pool, store.write():
        assert pool.submit(next_task, store, one, 1.0).result(5) == given
        writer = pool.submit(next_task, store, two, 1.0)
        assert not writer.done()
    assert isinstance(writer.result(), Given)


def test_a_task_that_was_given_ahead_is_looked_at_too(tmp_path: Path) -> None:
    store, (rater,) = study(tmp_path, 1)
    ahead = [next_task(store, rater, 0.0, place) for place in (0, 1)]
    with store.write():
        assert [next_task(store, rater, 1.0, place) for place in (0, 1)] == ahead


def test_forty_writers_at_once_all_come_to_their_turn(tmp_path: Path) -> None:
    """Each is in when all are: a barrier lets them loose together."""
    store, raters = study(tmp_path, 40)
    ready = threading.Barrier(len(raters))

    def vote(rater: str) -> None:
        ready.wait()
        given = next_task(store, rater, 0.0)
        assert isinstance(given, Given)
        take(store, rater, given.token, {"preference": 0}, 1.0, "k", 0.0)

    with ThreadPoolExecutor(len(raters)) as pool:
        [*pool.map(vote, raters)]
    assert sorted(each.rater for each in every(store)) == sorted(raters)


def test_a_writer_that_is_never_let_in_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.05)
    store, (rater,) = study(tmp_path, 1)
    with ThreadPoolExecutor(1) as pool, store.write():
        waiting = pool.submit(next_task, store, rater, 0.0)
        with pytest.raises(Unavailable, match=r"study\.sqlite: too many are writing; try again in a moment"):
            waiting.result()
    assert isinstance(next_task(store, rater, 0.0), Given)
