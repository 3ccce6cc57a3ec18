"""Comparisons in a list that names image files: pairs, or rankings of which every two images are a pair.

A format says with `Listing` how a record is read; images are opened one pair at a time, so a ranking of any length
takes no more memory than two images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, NamedTuple, TypeGuard

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file
from tastemaker.data.readers.files import read_one_of, state
from tastemaker.data.readers.json_list import LIST
from tastemaker.data.readers.options import Options, of_split
from tastemaker.data.readers.row import Place, Preference, Problem, Row, Side, Unreadable
from tastemaker.data.readers.table import Record, kind, plain, records

LOOKED_AT = 100  # records in which a list must show its fields
LISTS = (LIST, ".jsonl")

Fields = dict[str, Any]


class Named(NamedTuple):
    """An image as a record names it: in which field, its path, what made it."""

    field: str
    reference: object
    model: str = ""


class Pair(NamedTuple):
    """Two images of a prompt, and what was said of them."""

    prompt: str | Problem
    a: Named
    b: Named
    said: Preference


@dataclass(frozen=True, slots=True)
class Listing:
    """How a format writes comparisons down.

    ``pairs`` gives those of one record in a fixed order, or says what is wrong with it as a whole. ``elsewhere`` is
    where else in the source an image may lie, by the table's name in it and the image's path.
    """

    format: str
    pairs: Callable[[Fields], Iterable[Pair] | Problem]
    records: Callable[[Path], Iterator[Record]] = records
    elsewhere: Callable[[PurePath, str], str] = lambda _, reference: reference


@dataclass(frozen=True, slots=True)
class Listed:
    """Opened tables of one format below the folder ``root``."""

    listing: Listing
    root: Path
    tables: tuple[Path, ...]
    rows: int
    digest: str

    @property
    def format(self) -> str:
        """Name of the format."""
        return self.listing.format

    @property
    def identity(self) -> list[str]:
        """The tables' content, and size and time of every image they name."""
        return [self.digest]

    def read(self, start: Place) -> Iterator[Row | Unreadable]:
        """The pairs from ``start`` on."""
        root = self.root.resolve()
        for number, table in enumerate(self.tables):
            name = table.relative_to(self.root)
            for record in self.listing.records(table) if number >= start.file else ():
                if (number, record.line) >= start[:2]:
                    yield from self._rows(record, root, name, Place(number, record.line), start)

    def _rows(self, record: Record, root: Path, name: Path, first: Place, start: Place) -> Iterator[Row | Unreadable]:
        pairs = _pairs(self.listing, record)
        if isinstance(pairs, Problem):
            if first >= start:
                yield Unreadable(first, plain(name.as_posix()), pairs)
            return
        held: dict[str, Side] = {}
        for part, pair in enumerate(pairs):
            if (place := first._replace(part=part)) >= start:
                a, b = (held.get(one.field) or self._side(root, name, one) for one in (pair.a, pair.b))
                held = {a.field: a, b.field: b}
                yield Row(place, plain(name.as_posix()), pair.prompt, a, b, **pair.said._asdict())

    def _side(self, root: Path, table: Path, named: Named) -> Side:
        if not isinstance(named.reference, str) or not named.reference:
            what = f"not a path but {kind(named.reference)}"
            return Side(named.field, Problem(named.field, "image_missing", what), named.model)
        image = read_one_of(root, _references(self.listing, table, named.reference), named.field)
        return Side(named.field, image, named.model, PurePosixPath(named.reference).suffix.lower())


def open_listed(listing: Listing, root: Path, tables: Sequence[Path]) -> Listed:
    """Read the tables once, to count their pairs and to know them again. Raises `UserError` when there are no rows."""
    digest, rows = hashlib.sha256(), 0
    for table in tables:
        name = table.relative_to(root)
        digest.update(plain(f"{name} {sha256_file(table)}\n").encode())
        for record in listing.records(table):
            pairs = _pairs(listing, record)
            images = dict[str, None]()
            for pair in () if isinstance(pairs, Problem) else pairs:
                images.update((one.reference, None) for one in (pair.a, pair.b) if isinstance(one.reference, str))
                rows += 1
            rows += isinstance(pairs, Problem)
            found = (state(root / path) for image in images for path in _references(listing, name, image))
            digest.update(" ".join(found).encode())
    if not rows:
        raise UserError(f"{', '.join(map(str, tables))}: has no rows")
    return Listed(listing, root, tuple(tables), rows, digest.hexdigest())


def lists(path: Path, fits: Callable[[Fields], bool], pattern: str = "*") -> list[Path]:
    """A file, or those that ``pattern`` finds in a folder, if one of the first records of such a list ``fits``.

    Raises `UserError` for a file that is broken.
    """
    if path.is_file():
        return [path] if path.suffix.lower() in LISTS and _shows(path, fits) else []
    found = []
    for file in sorted(path.glob(pattern)):
        with suppress(UserError):  # one that is broken is not this, as long as nobody has named it
            found += [file] * (file.suffix.lower() in LISTS and file.is_file() and _shows(file, fits))
    return found


def open_lists(path: Path, options: Options, listing: Listing, fits: Callable[[Fields], bool], needed: str) -> Listed:
    """A list, or a folder of them, each of which is a split of its name. Raises `UserError` where there is none."""
    options.refuse(path, "question")
    found = lists(path, fits)
    if not found:
        raise UserError(f"{path}: no {needed}")
    chosen = of_split(found, options.split, str(path), lambda table: table.stem)
    return open_listed(listing, path.parent if path.is_file() else path, chosen)


def ranking(
    prompt: str | Problem, images: Sequence[object], field: str, said: Callable[[int, int], Preference]
) -> Iterator[Pair]:
    """Every two images of a ranking, (0, 1), (0, 2) … (1, 2) …, and what ``said`` makes of their places in it."""
    named = [Named(f"{field}[{place}]", image) for place, image in enumerate(images)]
    return (Pair(prompt, named[i], named[j], said(i, j)) for i, j in combinations(range(len(named)), 2))


def unlike(first: object, second: object, names: str) -> Problem | None:
    """What is wrong with two fields that must be lists of one length, of two or more."""
    if not isinstance(first, list) or not isinstance(second, list):
        return Problem("", "row_columns", f"{names}: not two lists but {kind(first)} and {kind(second)}")
    if len(first) != len(second):
        return Problem("", "row_columns", f"{names}: {len(first)} and {len(second)} items")
    return Problem("", "unlabelled", "one image alone, compared with none") if len(first) < 2 else None


def lower_wins(first: object, second: object, field: str) -> Preference:
    """Of two ranks: the lower is better, equal ones tie."""
    for rank in (first, second):
        if rank is None:
            return Preference(Problem(field, "unlabelled", "nobody ranked this"))
        if not is_number(rank):
            return Preference(Problem(field, "label_unknown", f"{rank!r:.80} is no rank"))
    assert is_number(first), first
    assert is_number(second), second
    return Preference("a" if first < second else "b" if first > second else "tie")


def is_number(value: object) -> TypeGuard[float]:
    """Whether a cell is a number that can be compared; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _pairs(listing: Listing, record: Record) -> Iterable[Pair] | Problem:
    return record.fields if isinstance(record.fields, Problem) else listing.pairs(record.fields)


def _references(listing: Listing, table: PurePath, reference: str) -> list[str]:
    return list(dict.fromkeys([reference, listing.elsewhere(table, reference)]))


def _shows(file: Path, fits: Callable[[Fields], bool]) -> bool:
    first = islice(records(file), LOOKED_AT)
    return any(not isinstance(record.fields, Problem) and fits(record.fields) for record in first)
