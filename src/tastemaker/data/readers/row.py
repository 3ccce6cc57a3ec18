"""What every reader yields: the rows of a source, each field either good or a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tastemaker.data.comparison import Label


class Problem(NamedTuple):
    """Why a row cannot be used: ``reason`` is counted, ``field`` and ``detail`` are for people."""

    field: str
    reason: str
    detail: str


class Place(NamedTuple):
    """Where a row stands: the number of the file in its source, and the row as `quarantine.jsonl` counts it."""

    file: int
    row: int


@dataclass(frozen=True, slots=True)
class Side:
    """One of the images: its field's name, its encoded bytes, what made it, the extension of its file's name."""

    field: str
    image: bytes | Problem
    model: str = ""
    extension: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as found; ``b`` is None where one image is judged alone."""

    place: Place
    source: str
    prompt: str | Problem
    a: Side
    b: Side | None
    label: Label | Problem
    judge: str = ""

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
        """The rows from ``start`` on, in a fixed order. Raises `UserError` when a file breaks off."""
