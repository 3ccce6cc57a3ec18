"""Which task a rater gets next, and in which order its images stand.

An item has numbered slots, one a rater: a measured item `raters_per_item` of them, a check (a gold item or a
repetition) as many as there are raters. Two raters can never hold the same slot (a unique key of the database), so no
item gets more raters than were asked for. The order of the images is a function of item and slot alone.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, insert, select, update

from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.study import db, record
from tastemaker.study.db import Store, assignment
from tastemaker.study.design import Design
from tastemaker.study.vote import Item

HELD = ("open", "done")
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Given:
    """A task before a rater: ``token`` names it to the outside, ``shown`` are its images' places from the left."""

    token: str
    item: Item
    shown: tuple[int, ...]


Nothing = Literal["done", "wait", "paused", "closed"]
"""Why there is no task: all is done, others are still at the rest (it may come back), or the study gives out none."""


def shown(design: Design, item: int, slot: int) -> tuple[int, ...]:
    """The order in which the K images of ``item`` stand before the rater in ``slot``.

    Slots go in blocks of K. A block draws an arrangement of the images and shows it in all its K rotations, in a drawn
    order: a cyclic Latin square. So over slots 0 … n − 1 each image stands in each position ⌊n/K⌋ or ⌈n/K⌉ times.
    """
    images = len(design.items[item].images)
    block, place = divmod(slot, images)
    drawn = draw.numbers(design.seed, "study", "sides", item, block)
    arranged, turn = drawn.permutation(images), int(drawn.permutation(images)[place])
    return tuple(int(arranged[(position + turn) % images]) for position in range(images))


def next_task(store: Store, rater: str, now: float, ahead: int = 0) -> Given | Nothing:
    """The task the rater is at (a reload gives the same again), or a new one; ``now`` in seconds since 1970.

    ``ahead`` 1 is the one after it, which is then kept for the rater: a page can load its images beforehand.

    New are first the items with the fewest raters, in an order drawn for the rater. Checks come at drawn moments: of
    L tasks (the quota, or all) that are to hold C checks, with c given among the first t, the next is a check with
    probability (C − c)/(L − t), so that in the end it is C. A repetition is given only to whom has done its original,
    and never right after it. Tasks of others that were begun more than `Plan.minutes` ago are taken back first; being
    at a task counts as begun, within a tenth of that time.
    """
    with store.read() as connection:  # a look that writes nothing waits for nobody
        state, own = _state(connection), _own(connection, rater)
        row = _at(own, ahead)
        if state == "open" and row and now - row.given < store.design.minutes * MINUTE / 10:
            return as_given(store.design, row)
    with store.write() as connection:
        if (state := _state(connection)) != "open":
            return state
        own = _own(connection, rater)
        if row := _at(own, ahead):
            connection.execute(update(assignment).where(assignment.c.id == row.id).values(given=now))
            return as_given(store.design, row)
        _expire(connection, rater, now - store.design.minutes * MINUTE, now)
        chosen = _choose(store.design, connection, rater, own)
        return chosen if isinstance(chosen, str) else _give(store.design, connection, rater, chosen, own, now)


def hold(design: Design, connection: Connection, row: Row[Any]) -> int | None:
    """The slot that ``row``, an assignment, can have (again): its own, or a free one with the same order of images.

    So what stood before the rater is always `shown` of item and slot, and stays balanced. None where there is none.
    To be called within `Store.write`.
    """
    if row.slot is not None:
        return int(row.slot)
    stood = tuple(json.loads(row.shown))
    free = _free(design, connection, row.item)
    return next((slot for slot in free if shown(design, row.item, slot) == stood), None)


def counted(own: Sequence[Row[Any]]) -> list[Row[Any]]:
    """The tasks that count for the rater: those done and the one in hand, in the order given."""
    return sorted((row for row in own if row.state in HELD), key=lambda row: row.number)


def length(design: Design) -> int:
    """L: how many tasks a rater is given at the most."""
    return min(design.quota or len(design.items), len(design.items))


def checks_due(design: Design) -> int:
    """C: how many of the tasks of a rater are checks, in proportion to the design."""
    return round(length(design) * design.checks / len(design.items))


def _state(connection: Connection) -> db.State:
    state: db.State = connection.execute(select(db.study.c.state)).scalar_one()
    return state


def _own(connection: Connection, rater: str) -> Sequence[Row[Any]]:
    return connection.execute(select(assignment).where(assignment.c.rater == rater)).all()


def _at(own: Sequence[Row[Any]], ahead: int) -> Row[Any] | None:
    """The task in hand, or the one so many after it, where it has been given."""
    begun = sorted((row for row in own if row.state == "open"), key=lambda row: row.number)
    return begun[ahead] if len(begun) > ahead else None


def _choose(design: Design, connection: Connection, rater: str, own: Sequence[Row[Any]]) -> int | Nothing:
    mine = counted(own)
    if len(mine) >= length(design):
        return "done"
    items, seen = design.items, {row.item for row in own if row.state != "expired"}
    held = _held(connection)
    order = draw.numbers(design.seed, "study", "rater", rater).permutation(len(items)).tolist()
    fresh = [item for item in order if item not in seen]
    measured = [i for i in fresh if items[i].measured and held.get(i, 0) < design.raters_per_item]
    given = sum(not items[row.item].measured for row in mine)
    if _check_now(design, rater, len(mine), given, bool(measured)):
        checks = list(_checks(design, fresh, own, mine))
        if checks:
            return checks[0]
    if measured:
        return _fewest(design, measured, held)
    begun = {row.item for row in connection.execute(select(assignment.c.item).where(assignment.c.state == "open"))}
    return "wait" if any(item in begun and items[item].measured for item in fresh) else "done"


def _fewest(design: Design, measured: Sequence[int], held: Mapping[int, int]) -> int:
    """The item with the fewest raters; of the last two the one that is repeated: its repetition then comes apart."""
    repeated = {item.repeats for item in design.items} if len(measured) == 2 else set()
    return min(measured, key=lambda item: (item not in repeated, held.get(item, 0)))


def _check_now(design: Design, rater: str, tasks: int, given: int, more: bool) -> bool:
    """Whether a check is due after ``tasks``; where there is no ``more`` to measure, in proportion to what was done."""
    if not more:
        measured = len(design.items) - design.checks
        return given < round((tasks - given) * design.checks / measured) if measured else True
    missing, left = checks_due(design) - given, length(design) - tasks
    return bool(draw.numbers(design.seed, "study", "check", rater, tasks).random() < missing / left)


def _checks(design: Design, fresh: Sequence[int], own: Sequence[Row[Any]], mine: Sequence[Row[Any]]) -> Iterator[int]:
    """Checks that can be given now: a repetition only after, and not right after, its original."""
    done = {row.item for row in mine if row.state == "done"}
    last = max(own, key=lambda row: row.number).item if own else None
    for item in (design.items[place] for place in fresh):
        if item.gold is not None or (item.repeats in done and item.repeats != last):
            yield item.id


def _give(design: Design, connection: Connection, rater: str, item: int, own: Sequence[Row[Any]], now: float) -> Given:
    """Put the item before the rater; one that was taken back from the same rater is given again, as a new task."""
    slot = _free(design, connection, item)[0]  # there is one: no other writer came between
    token, order = secrets.token_urlsafe(16), shown(design, item, slot)
    row = {
        "token": token,
        "rater": rater,
        "item": item,
        "slot": slot,
        "shown": json.dumps(order),
        "state": "open",
        "given": now,
        "number": max((row.number for row in own), default=-1) + 1,
    }
    if back := next((one for one in own if one.item == item), None):
        connection.execute(update(assignment).where(assignment.c.id == back.id).values(**row))
    else:
        connection.execute(insert(assignment).values(**row))
    return Given(token, design.items[item], order)


def as_given(design: Design, row: Row[Any]) -> Given:
    """An assignment as the rater meets it."""
    return Given(row.token, design.items[row.item], tuple(json.loads(row.shown)))


def _held(connection: Connection) -> dict[int, int]:
    """How many raters hold a slot of each item that anybody holds."""
    held = select(assignment.c.item, func.count().label("raters")).where(assignment.c.slot.is_not(None))
    return {row.item: row.raters for row in connection.execute(held.group_by(assignment.c.item))}


def _free(design: Design, connection: Connection, item: int) -> list[int]:
    """The slots that nobody holds, lowest first: of a check as many as there are images beyond those held."""
    held = select(assignment.c.slot).where(assignment.c.item == item, assignment.c.slot.is_not(None))
    taken = {slot for (slot,) in connection.execute(held)}
    images = design.items[item].images
    slots = design.raters_per_item if design.items[item].measured else len(taken) + len(images)
    return [slot for slot in range(slots) if slot not in taken]


def _expire(connection: Connection, rater: str, before: float, now: float) -> None:
    """Take back what others began before ``before`` and did not finish, with what they said of it so far."""
    late = (assignment.c.state == "open") & (assignment.c.given < before) & (assignment.c.rater != rater)
    for (number,) in connection.execute(select(assignment.c.id).where(late)).all():
        record.withdraw(connection, number, now)
        connection.execute(update(assignment).where(assignment.c.id == number).values(state="expired", slot=None))


class Unknown(UserError):
    """A token that names no task of the rater."""


def find(connection: Connection, rater: str, token: str) -> Row[Any]:
    """The assignment that ``token`` names; raises `Unknown` where it is none of the rater's."""
    mine = (assignment.c.token == token) & (assignment.c.rater == rater)
    row = connection.execute(select(assignment).where(mine)).one_or_none()
    if row is None:
        raise Unknown(f"{token!r:.40}: no such task of yours; load the page again")
    return row
