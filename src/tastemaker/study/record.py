"""The votes on one assignment as the database keeps them: rows are only ever added, each with the next revision."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from tastemaker.study.db import vote


def standing(connection: Connection, assignment: int) -> dict[str, Row[Any]]:
    """The row of the highest revision of each question, also where it takes an answer back."""
    rows = connection.execute(select(vote).where(vote.c.assignment == assignment).order_by(vote.c.revision))
    return {row.question: row for row in rows}


def answered(connection: Connection, assignment: int) -> dict[str, Any]:
    """The answer that stands to each question, as canonical JSON."""
    said = {question: json.loads(row.answer) for question, row in standing(connection, assignment).items()}
    return {question: answer for question, answer in said.items() if answer is not None}


def keys(connection: Connection, assignment: int) -> set[tuple[str, str]]:
    """Question and the client's key of every row."""
    rows = connection.execute(select(vote.c.question, vote.c.key).where(vote.c.assignment == assignment))
    return {(question, key) for question, key in rows}


def append(
    connection: Connection, assignment: int, question: str, answer: Any, seconds: float, key: str, now: float
) -> None:
    """Add what was said, unless it was posted before with this ``key`` or is what stands already."""
    if (question, key) in keys(connection, assignment):
        return
    before = standing(connection, assignment).get(question)
    text = json.dumps(answer, ensure_ascii=False)
    if text == (before.answer if before else "null"):
        return
    row = {"assignment": assignment, "question": question, "revision": before.revision + 1 if before else 0}
    connection.execute(insert(vote).values(**row, answer=text, seconds=seconds, at=now, key=key))


def withdraw(connection: Connection, assignment: int, now: float, key: str = "") -> None:
    """Take back every answer that stands, by a row each that says so."""
    key = key or secrets.token_hex(8)
    for question in answered(connection, assignment):
        append(connection, assignment, question, None, 0.0, key, now)


def whole(said: Iterable[str], asked: Collection[str]) -> bool:
    """Whether every question that is ``asked`` has an answer."""
    return set(asked) <= set(said)
