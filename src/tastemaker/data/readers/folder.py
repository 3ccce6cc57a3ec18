"""A folder of images with one table, `*.jsonl` or `*.csv`.

Its fields are `prompt, chosen, rejected` or `prompt, image_a, image_b, label`, and `judge, model_a, model_b` at will.
Image paths are relative to the table's folder and may not leave it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file
from tastemaker.data.comparison import Label, parse_label
from tastemaker.data.readers.row import Place, Problem, Row, Side, Unreadable

SUFFIXES = (".jsonl", ".csv")
CHOSEN = ("prompt", "chosen", "rejected")
LABELLED = ("prompt", "image_a", "image_b", "label")
LARGEST_FILE = 100 << 20  # bytes of one image
LARGEST_LINE = 1 << 20  # characters of one row
LOOKED_AT = 100  # rows in which a JSONL must show its fields


class Record(NamedTuple):
    """One line of the table: its number from 1, and its fields, or what is wrong with it."""

    line: int
    fields: dict[str, Any] | Problem


@dataclass(frozen=True, slots=True)
class Folder:
    """An opened folder."""

    table: Path
    rows: int
    digest: str
    format: str = "folder"

    @property
    def identity(self) -> list[str]:
        """The table's content, and size and time of every image it names."""
        return [self.table.name, self.digest]

    def read(self, start: Place) -> Iterator[Row | Unreadable]:
        """The rows from line ``start.row`` on."""
        root = self.table.parent.resolve()
        for record in _records(self.table):
            if record.line >= start.row:
                yield _row(record, root, self.table.name)


def open_folder(table: Path) -> Folder:
    """Look at a table. Raises `UserError` when it is empty or has not the fields of one of the two forms."""
    rows, digest = 0, hashlib.sha256(sha256_file(table).encode())
    right, found = False, list[str]()
    for rows, record in enumerate(_records(table), 1):
        if isinstance(record.fields, Problem):
            continue
        right = right or _form(record.fields) is not None
        found = found or sorted(map(str, record.fields))
        if not right and rows >= LOOKED_AT:
            break
        digest.update(_state(table.parent, record.fields))
    if not rows:
        raise UserError(f"{table}: has no rows")
    if not right:
        needed = f"{', '.join(CHOSEN)} or {', '.join(LABELLED)}"
        raise UserError(f"{table}: needs the fields {needed}; found {', '.join(found) or 'none'}")
    return Folder(table, rows, digest.hexdigest())


def _form(fields: dict[str, Any]) -> tuple[str, ...] | None:
    return next((form for form in (CHOSEN, LABELLED) if set(form) <= fields.keys()), None)


def _state(root: Path, fields: dict[str, Any]) -> bytes:
    """Size and time of the images a row names, so that a changed image is noticed."""
    state = []
    for name in (*CHOSEN[1:], *LABELLED[1:3]):
        try:
            found = (root / str(fields.get(name, ""))).stat()
        except (OSError, ValueError):
            continue
        state.append(f"{found.st_size} {found.st_mtime_ns}")
    return " ".join(state).encode()


def _records(table: Path) -> Iterator[Record]:
    try:
        yield from _jsonl(table) if table.suffix.lower() == ".jsonl" else _csv(table)
    except OSError as error:
        raise UserError(f"{table}: cannot be read ({error.strerror})") from None


def _jsonl(table: Path) -> Iterator[Record]:
    with table.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        number = 0
        while line := file.readline(LARGEST_LINE + 1):
            number += 1
            if line.strip():
                yield Record(number, _json_object(line))
            while len(line) > LARGEST_LINE and not line.endswith("\n"):  # skip the rest of an endless line
                line = file.readline(LARGEST_LINE + 1)


def _json_object(line: str) -> dict[str, Any] | Problem:
    if len(line) > LARGEST_LINE:
        return Problem("", "row_too_long", f"more than {LARGEST_LINE} characters")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Problem("", "row_not_json", str(error))
    return value if isinstance(value, dict) else Problem("", "row_not_json", "not an object")


def _csv(table: Path) -> Iterator[Record]:
    csv.field_size_limit(LARGEST_LINE)
    with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file)
        line = 1
        try:
            line = reader.line_num if reader.fieldnames else 0
            for cells in reader:
                yield Record(line + 1, _csv_fields(cells))
                line = reader.line_num
        except csv.Error as error:
            raise UserError(f"{table}: line {line + 1}: not readable as CSV ({error})") from None


def _csv_fields(cells: dict[str | Any, Any]) -> dict[str, Any] | Problem:
    if None in cells:
        return Problem("", "row_columns", f"{len(cells[None])} more cells than the header")
    if None in cells.values():
        return Problem("", "row_columns", f"{sum(cell is None for cell in cells.values())} fewer cells than the header")
    return cells


def _row(record: Record, root: Path, source: str) -> Row | Unreadable:
    place, fields = Place(0, record.line), record.fields
    if isinstance(fields, Problem):
        return Unreadable(place, source, fields)
    form = _form(fields)
    if form is None:
        missing = ", ".join(name for name in LABELLED if name not in fields)
        return Unreadable(place, source, Problem("", "row_columns", f"lacks {missing}"))
    return Row(
        place,
        source,
        prompt=_prompt(fields["prompt"]),
        a=_side(root, fields[form[1]], form[1], fields.get("model_a")),
        b=_side(root, fields[form[2]], form[2], fields.get("model_b")),
        label="a" if form == CHOSEN else _label(fields["label"]),
        judge=_plain(fields.get("judge")),
    )


def _side(root: Path, reference: object, field: str, model: object) -> Side:
    if not isinstance(reference, str) or not reference:
        return Side(field, Problem(field, "image_missing", f"not a path but {_kind(reference)}"))
    extension = PurePath(reference).suffix.lower()
    return Side(field, _image(root, reference, field), _plain(model), extension)


def _prompt(value: object) -> str | Problem:
    return value if isinstance(value, str) else Problem("prompt", "prompt_missing", f"not text but {_kind(value)}")


def _label(value: object) -> Label | Problem:
    try:
        return parse_label(value) or Problem("label", "unlabelled", "nobody judged this pair")
    except ValueError as error:
        return Problem("label", "label_unknown", str(error)[:200])


def _image(root: Path, reference: str, field: str) -> bytes | Problem:
    named = PurePath(reference)
    if named.is_absolute() or ".." in named.parts:
        return Problem(field, "image_outside_folder", reference)
    try:
        path = (root / named).resolve()
        if not path.is_relative_to(root):
            return Problem(field, "image_outside_folder", f"{reference} → {path}")
        return _read(path, reference, field)
    except (OSError, ValueError, RuntimeError) as error:
        text = getattr(error, "strerror", None) or str(error)
        return Problem(field, "image_missing", f"{reference}: {text}"[:300])


def _read(path: Path, reference: str, field: str) -> bytes | Problem:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):  # reading a pipe would wait for ever
        return Problem(field, "image_missing", f"{reference}: not a file")
    if facts.st_size > LARGEST_FILE:
        return Problem(field, "image_file_too_large", f"{reference}: {facts.st_size} bytes, at most {LARGEST_FILE}")
    return path.read_bytes() or Problem(field, "image_missing", f"{reference}: empty")


def _kind(value: object) -> str:
    return "nothing" if value is None or value == "" else type(value).__name__


def _plain(value: object) -> str:
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()
