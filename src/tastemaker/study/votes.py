"""Taking votes: what a rater posts → canonical answers in the database, undo, skip, and how far all are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from tastemaker.base.errors import UserError
from tastemaker.study import assign, db, record
from tastemaker.study.assign import Given
from tastemaker.study.db import Store, assignment, vote
from tastemaker.study.design import Design
from tastemaker.study.vote import Answer, Item, Vote, canonical, last, misfit

LONGEST_KEY = 64


class Late(UserError):
    """The task was left for so long that others have its places."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many tasks a rater has done, of how many at the most."""

    done: int
    of: int


@dataclass(frozen=True, slots=True)
class Status:
    """How far a study is: people who joined, answers that stand, measured items with all their raters, tasks begun.

    ``settled`` are the items that as many people as were wanted have answered or skipped.
    """

    raters: int
    votes: int
    complete: int
    items: int
    begun: int
    skipped: int
    settled: int
    state: db.State


def take(
    store: Store, rater: str, token: str, answers: Mapping[str, Any], seconds: float, key: str, now: float
) -> tuple[str, ...]:
    """Record ``answers`` (question → answer by position on the screen, from 0) to the task ``token``; all or none.

    ``key`` is the client's own for this post: a post that comes again, or that says what stands already, adds nothing;
    another answer is added with a higher revision. Returned are the questions of the task without an answer yet. When
    this returns, the votes are on disk. Raises `UserError` for an answer that cannot be, `assign.Unknown` for a token
    that is not the rater's, and `Late` when an expired task has gone to others.
    """
    if not 0 < len(key) <= LONGEST_KEY or not (math.isfinite(seconds) and seconds >= 0):
        raise UserError(f"key of {len(key)} letters, {seconds} seconds: not understood; load the page again")
    design = store.design
    with store.write() as connection:
        row = assign.find(connection, rater, token)
        said = {question: to_canonical(design, row, question, answer) for question, answer in answers.items()}
        if {(question, key) for question in said} - record.keys(connection, row.id):
            slot = _place(design, connection, row)
            for question, answer in said.items():
                record.append(connection, row.id, question, answer, seconds, key, now)
            _settle(design, connection, row, slot)
        there = record.answered(connection, row.id)
        return tuple(question for question in design.asked if question not in there)


def to_canonical(design: Design, row: Row[Any], question: str, answer: Any) -> Answer:
    """``answer``, in positions on the rater's screen, as an answer in places of `Item.images`. Raises `UserError`."""
    if question not in design.asked:
        raise UserError(f"question: {question!r:.40} is not asked; it is one of {', '.join(design.asked)}")
    item, said = design.items[row.item], canonical(answer)
    if wrong := misfit(item, said) or _unknown_flag(design, item, said):
        raise UserError(f"{question}: {wrong}; answer again")
    shown = json.loads(row.shown)
    if item.kind == "flag":
        return canonical([(shown[position], flag) for position, flag in said])
    if item.kind == "rank":
        return tuple(shown[position] for position in said)
    return said if said == "tie" else shown[said]


def undo(store: Store, rater: str, key: str, now: float) -> Given | None:
    """Take back the answers to the last task done and put it before the rater again; None where nothing is done.

    A post that comes again with the same ``key`` takes nothing more back.
    """
    with store.write() as connection:
        own = connection.execute(select(assignment).where(assignment.c.rater == rater)).all()
        row = _undone(connection, rater, key) or max(
            (row for row in own if row.state == "done"), key=lambda row: row.number, default=None
        )
        if row is None:
            return None
        if row.state == "done":
            record.withdraw(connection, row.id, now, key)
            connection.execute(update(assignment).where(assignment.c.id == row.id).values(state="open", given=now))
        return assign.as_given(store.design, row)


def skip(store: Store, rater: str, token: str, now: float) -> None:
    """Give the task back to the others; the rater does not get it again. Skipping twice is skipping once.

    Raises `UserError` when it is answered already.
    """
    with store.write() as connection:
        row = assign.find(connection, rater, token)
        if row.state == "done":
            raise UserError("this task is answered; undo the answer to skip it")
        record.withdraw(connection, row.id, now)
        values = {"state": "skipped", "slot": None}
        connection.execute(update(assignment).where(assignment.c.id == row.id).values(**values))


def progress(store: Store, rater: str) -> Progress:
    """How far the rater is."""
    mine = (assignment.c.rater == rater) & (assignment.c.state == "done")
    with store.read() as connection:
        done = connection.execute(select(func.count()).select_from(assignment).where(mine)).scalar_one()
    return Progress(done, assign.length(store.design))


def status(store: Store) -> Status:
    """How far the study is."""
    votes = len(last(every(store)))
    with store.read() as connection:
        counts = select(assignment.c.state, func.count().label("tasks")).group_by(assignment.c.state)
        states = {row.state: row.tasks for row in connection.execute(counts)}
        joined = select(func.count()).select_from(db.rater).where(db.rater.c.joined.is_not(None))
        raters = connection.execute(joined).scalar_one()
        complete = _with_all(store.design, connection, ["done"])
        settled = _with_all(store.design, connection, ["done", "skipped"])
    measured = sum(item.measured for item in store.design.items)
    begun, skipped = states.get("open", 0), states.get("skipped", 0)
    return Status(raters, votes, complete, measured, begun, skipped, settled, db.state_of(store))


def every(store: Store) -> list[Vote]:
    """All votes ever given, in the order given, as the results read them."""
    columns = (assignment.c.rater, assignment.c.item, assignment.c.shown, vote)
    with store.read() as connection:
        rows = connection.execute(select(*columns).join_from(vote, assignment).order_by(vote.c.id)).all()
    return [_as_vote(row) for row in rows]


def _as_vote(row: Row[Any]) -> Vote:
    return Vote(
        rater=row.rater,
        item=row.item,
        question=row.question,
        answer=canonical(json.loads(row.answer)),
        seconds=row.seconds,
        at=row.at,
        revision=row.revision,
        shown=tuple(json.loads(row.shown)),
    )


def _unknown_flag(design: Design, item: Item, said: Any) -> str:
    if item.kind != "flag":
        return ""
    unknown = [flag for _, flag in said if flag not in design.flags]
    return f"{unknown[0]!r:.40} is no flag; it is one of {', '.join(design.flags)}" if unknown else ""


def _place(design: Design, connection: Connection, row: Row[Any]) -> int:
    """The slot that a vote on ``row`` takes."""
    if row.state == "skipped":
        raise UserError("this task was skipped; go on with the next one")
    slot = assign.hold(design, connection, row)
    if slot is None:
        raise Late("this task was left for too long, and others have done it; go on with the next one")
    return slot


def _settle(design: Design, connection: Connection, row: Row[Any], slot: int) -> None:
    state = "done" if record.whole(record.answered(connection, row.id), design.asked) else "open"
    connection.execute(update(assignment).where(assignment.c.id == row.id).values(state=state, slot=slot))


def _undone(connection: Connection, rater: str, key: str) -> Row[Any] | None:
    """The assignment whose answers were taken back with this key."""
    mine = (assignment.c.rater == rater) & (vote.c.key == key) & (vote.c.answer == "null")
    return connection.execute(select(assignment).join_from(assignment, vote).where(mine).distinct()).one_or_none()


def _with_all(design: Design, connection: Connection, states: Sequence[str]) -> int:
    """Measured items with all their raters, counting assignments in one of ``states``."""
    held = assignment.c.state.in_(states)
    done = select(assignment.c.item, func.count()).where(held).group_by(assignment.c.item)
    return sum(
        design.items[item].measured and raters >= design.raters_per_item for item, raters in connection.execute(done)
    )
