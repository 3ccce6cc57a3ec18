"""What every reader yields: the rows of a source, each field either good or a problem."""

from __future__ import annotations

from collections.abc import Iterator
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
    """One of the two images: its field's name, its encoded bytes, what made it, the extension of its file's name."""

    field: str
    image: bytes | Problem
    model: str = ""
    extension: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as found."""

    place: Place
    source: str
    prompt: str | Problem
    a: Side
    b: Side
    label: Label | Problem
    judge: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that has no fields to look at."""

    place: Place
    source: str
    problem: Problem


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
