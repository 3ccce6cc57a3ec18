"""The lines of a table, `*.jsonl` or `*.csv` (with a header), and the items of a list, `*.json`, in UTF-8."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tastemaker.base.errors import UserError
from tastemaker.data.readers.json_list import LIST, items
from tastemaker.data.readers.row import Problem

SUFFIXES = (".jsonl", ".csv")
LARGEST_LINE = 1 << 20  # characters of one row


class Record(NamedTuple):
    """One line of the table or item of the list, and its fields, or what is wrong with it.

    Lines are numbered from 1, items from 0.
    """

    line: int
    fields: dict[str, Any] | Problem


def records(table: Path) -> Iterator[Record]:
    """The rows of ``table`` in order, one at a time in memory. Raises `UserError` when it cannot be read."""
    readers = {".jsonl": _jsonl, LIST: _list}
    try:
        yield from readers.get(table.suffix.lower(), _csv)(table)
    except OSError as error:
        raise UserError(f"{table}: cannot be read ({error.strerror})") from None


def tables(folder: Path) -> list[Path]:
    """The tables that lie in a folder itself."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())


def text_or_problem(value: object, field: str = "prompt") -> str | Problem:
    """A prompt's cell."""
    return value if isinstance(value, str) else Problem(field, "prompt_missing", f"not text but {kind(value)}")


def kind(value: object) -> str:
    """What a cell is, for people."""
    return "nothing" if value is None or value == "" else type(value).__name__


def plain(value: object) -> str:
    """A cell that is only written down, as text."""
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()


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
    return _object(value)


def _object(value: object) -> dict[str, Any] | Problem:
    return value if isinstance(value, dict) else Problem("", "row_not_json", "not an object")


def _list(table: Path) -> Iterator[Record]:
    for number, value in enumerate(items(table)):
        yield Record(number, _object(value))


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
