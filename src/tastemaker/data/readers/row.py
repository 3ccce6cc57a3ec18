"""What every reader yields: the rows of a source, each field either good or a problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tastemaker.data.comparison import Label, label_of, parse_label, to_share


class Problem(NamedTuple):
    """Why a row cannot be used: ``reason`` is counted, ``field`` and ``detail`` are for people."""

    field: str
    reason: str
    detail: str


class Place(NamedTuple):
    """Where a row stands: the number of the file in its source, and the row as `quarantine.jsonl` counts it.

    A ranking of several images is one row there and a pair for each two of them, of which this is number ``part``.
    """

    file: int
    row: int
    part: int = 0

    @property
    def after(self) -> Place:
        """The first place behind this one; that of no row where the next has another number."""
        return self._replace(part=self.part + 1)


class Preference(NamedTuple):
    """What was said of a pair: `Comparison`'s ``label``, ``share`` and ``votes``."""

    label: Label | Problem
    share: float | None = None
    votes: int | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the images: its field's name, its encoded bytes, what made it, the extension of its file's name."""

    field: str
    image: bytes | Problem
    model: str = ""
    extension: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as found; ``b`` is None where one image is judged alone. ``share`` and ``votes`` as in `Comparison`."""

    place: Place
    source: str
    prompt: str | Problem
    a: Side
    b: Side | None
    label: Label | Problem
    judge: str = ""
    share: float | None = None
    votes: int | None = None

    @property
    def sides(self) -> tuple[Side, ...]:
        """The one or two images."""
        return (self.a,) if self.b is None else (self.a, self.b)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that has no fields to look at."""

    place: Place
    source: str
    problem: Problem


def read_label(
    parse: Callable[[object], Label | None], value: object, field: str, judged: bool = True
) -> Label | Problem:
    """What `parse_label` or `parse_verdict` makes of a cell; ``judged`` false says that the cell means nothing."""
    try:
        label = parse(value) if judged else None
    except ValueError as error:
        return Problem(field, "label_unknown", str(error)[:200])
    return label or Problem(field, "unlabelled", "nobody judged this")


def read_preference(value: object, field: str, judged: bool = True) -> Preference:
    """Like `read_label` with `parse_label`, and takes a number between 0 and 1 for the share of the first image."""
    with suppress(ValueError):
        number = float(str(value))
        if judged and 0 < number < 1 and number != 0.5:  # the other three say who won, and no more
            share = to_share(number)
            return Preference(label_of(share), share)
    return Preference(read_label(parse_label, value, field, judged))


def poll(first: float | None, second: float | None, field: str, votes: int | None = None) -> Preference:
    """Of what the two images got (votes, or weights): share = first / (first + second).

    Unlabelled where neither got anything or it is not known, `label_unknown` where one got less than nothing.
    """
    if first is None or second is None or math.isnan(first) or math.isnan(second):
        return Preference(Problem(field, "unlabelled", "nobody judged this"))
    whole = first + second
    if not (first >= 0 and second >= 0 and whole < math.inf):
        return Preference(Problem(field, "label_unknown", f"{first} against {second} are no votes"))
    if not whole:
        return Preference(Problem(field, "unlabelled", "nobody judged this"))
    share = to_share(first / whole)
    return Preference(label_of(share), share, votes)


class Source(Protocol):
    """An opened source: its columns have been looked at, its rows not yet."""

    @property
    def format(self) -> str:
        """Name of the format."""

    @property
    def rows(self) -> int | None:
        """How many rows there are, where that is cheap to know."""

    @property
    def identity(self) -> list[str]:
        """Changes whenever what `read` yields may change."""

    def read(self, start: Place) -> Iterator[Row | Unreadable]:
        """The rows from ``start`` on, in the order of their places. Raises `UserError` when a file breaks off."""
