"""How a study goes, for whoever runs it: its raters and its rounds. Never who wins: that stays unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sqlalchemy import func, select

from tastemaker.study import exclusion, raters, votes
from tastemaker.study.db import Store, assignment
from tastemaker.study.series import Series
from tastemaker.study.vote import last

GRID = "grid.png"
"""The picture of a round, in the round's folder."""


@dataclass(frozen=True, slots=True)
class Person:
    """A rater: tasks done, the median of seconds a vote (None without votes), checks answered and checks missed.

    A check is a gold item, missed by another answer than the expected one, or a repetition, missed by another answer
    than before.
    """

    name: str
    tasks: int
    seconds: float | None
    checks: int
    missed: int


def people(store: Store) -> list[Person]:
    """Everybody who has joined, the first to come first."""
    items = {item.id: item for item in store.design.items}
    said, done = exclusion.by_rater(last(votes.every(store))), _done(store)
    found = []
    for rater, name in raters.names(store).items():
        own = said.get(rater, [])
        far = exclusion.missed(items, own) + exclusion.changed(items, own)
        seconds = median(vote.seconds for vote in own) if own else None
        found.append(Person(name, done.get(rater, 0), seconds, len(far), sum(each > 0 for each in far)))
    return found


def grid(store: Store) -> Path | None:
    """The picture of the round that ``store`` is of, where there is one."""
    picture = store.folder.parent / GRID
    return picture if picture.is_file() else None


def grid_of(series: Series, number: int) -> Path | None:
    """The picture of round ``number`` of a run, where there is one."""
    stores = series.stores() if series.rounds else []
    return grid(stores[number]) if 0 <= number < len(stores) else None


def rounds(stores: Sequence[Store]) -> list[tuple[int, votes.Status, bool]]:
    """Number and status of each round, and whether there is a picture of it."""
    return [(number, votes.status(store), grid(store) is not None) for number, store in enumerate(stores)]


def _done(store: Store) -> dict[str, int]:
    """How many tasks each rater has done."""
    counts = select(assignment.c.rater, func.count().label("tasks")).group_by(assignment.c.rater)
    with store.read() as connection:
        return {row.rater: row.tasks for row in connection.execute(counts.where(assignment.c.state == "done"))}
