"""Tables of prompts as files hold them: one row at a time, whatever the ending, with the place that a message names."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from tastemaker.base.errors import UserError

FORMS = (
    ".txt (one prompt a line), .json (a list of prompts), or .csv, .tsv, .json, .jsonl, .parquet with a column "
    "'prompt' or 'caption'"
)
PROMPT = "prompt"
"""What the column of a file without column names is called."""


class Row(NamedTuple):
    """One row and where it stands, such as ``line 3``; a cell that is missing has no key."""

    where: str
    cells: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Table:
    """What a file holds; ``rows`` can be read once.

    ``texts`` are prompts without a column name, rows of a ``table`` share its header, each of ``objects`` has keys of
    its own; ``columns`` are then those of the first.
    """

    form: Literal["texts", "table", "objects"]
    columns: tuple[str, ...]
    rows: Iterator[Row]


def read_table(path: Path, wanted: Collection[str]) -> Table:
    """The table in ``path``, read by its ending; of Parquet only columns that are called ``wanted`` in small letters.

    Raises `UserError` naming file and row, some of them only when the rows are read.
    """
    readers: dict[str, Callable[[Path], Table]] = {
        ".txt": _lines,
        ".csv": lambda path: _separated(path, ","),
        ".tsv": lambda path: _separated(path, "\t"),
        ".json": _json,
        ".jsonl": _json_lines,
        ".parquet": lambda path: _parquet(path, wanted),
    }
    if not path.exists():
        raise UserError(f"{path}: no such file; give a file of prompts: {FORMS}")
    if path.suffix.lower() not in readers:
        raise UserError(f"{path}: unknown kind of prompt file; give {FORMS}")
    return readers[path.suffix.lower()](path)


def _text(path: Path, newline: str | None = None) -> str:
    """The whole file; with ``newline`` "" its line ends are left as they are."""
    try:
        with open(path, encoding="utf-8-sig", newline=newline) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start}: not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give {FORMS}") from None


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    """Lines from 1; a prompt may hold the other separators at which `str.splitlines` breaks."""
    return enumerate(_text(path).split("\n"), 1)


def _lines(path: Path) -> Table:
    return Table("texts", (PROMPT,), (Row(f"line {number}", {PROMPT: line}) for number, line in _numbered(path)))


def _separated(path: Path, delimiter: str) -> Table:
    csv.field_size_limit(2**27)
    text = _text(path, newline="")
    quoted = delimiter == "," or _quotes_work_out(text, delimiter)
    lines = _records(path, text, delimiter, quoted)
    _, columns = next(lines, (0, []))
    return Table("table", tuple(columns), (_row(path, columns, number, values) for number, values in lines))


def _quotes_work_out(text: str, delimiter: str) -> bool:
    """Whether the quotes are CSV's. PartiPrompts.tsv has a prompt that begins with a quoted word, and no quoting."""
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            pass
    except csv.Error:
        return False
    return True


def _records(path: Path, text: str, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Number of the last line and values of every record that is not empty."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    try:
        yield from ((reader.line_num, values) for values in reader if values)
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: {error}; save the table again") from None


def _row(path: Path, columns: list[str], number: int, values: list[str]) -> Row:
    if any(values[len(columns) :]):
        raise UserError(
            f"{path}: line {number}: has {len(values)} values, the header {len(columns)}; put a text with a separator "
            "in it into quotes"
        )
    return Row(f"line {number}", dict(zip(columns, values, strict=False)))


def _json(path: Path) -> Table:
    items = _parsed(f"{path}: ", _text(path), "save it again")
    if not isinstance(items, list):
        raise UserError(f"{path}: no list but a {type(items).__name__}; give a list of prompts, or of objects with one")
    rows = ((f"item {number}", item) for number, item in enumerate(items, 1))
    if all(isinstance(item, str) for item in items[:1]):
        return Table("texts", (PROMPT,), (Row(where, {PROMPT: item}) for where, item in rows))
    return _objects(path, rows)


def _json_lines(path: Path) -> Table:
    lines = ((f"line {number}", line) for number, line in _numbered(path) if line.strip())
    return _objects(
        path, ((where, _parsed(f"{path}: {where}: ", line, "write one object a line")) for where, line in lines)
    )


def _parsed(place: str, text: str, way_out: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits, or thousands of brackets
        raise UserError(f"{place}not JSON ({error}); {way_out}") from None


def _objects(path: Path, items: Iterable[tuple[str, object]]) -> Table:
    rows = (_object(path, where, item) for where, item in items)
    first = list(itertools.islice(rows, 1))
    columns = tuple(first[0].cells) if first else ()
    return Table("objects", columns, itertools.chain(first, rows))


def _object(path: Path, where: str, item: object) -> Row:
    if not isinstance(item, dict):
        raise UserError(f'{path}: {where}: not an object; write {{"prompt": "…"}}')
    return Row(where, item)


def _parquet(path: Path, wanted: Collection[str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = tuple(file.schema_arrow.names)
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(path, error) from None
    return Table("table", columns, _parquet_rows(path, [name for name in columns if name.strip().lower() in wanted]))


def _parquet_rows(path: Path, columns: list[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=columns):
                for cells in batch.to_pylist():
                    number += 1
                    yield Row(f"row {number}", cells)
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: not readable as Parquet ({str(error).splitlines()[0]}); make it again")
