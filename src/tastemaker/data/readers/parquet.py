"""Parquet files with the images in them, read in pieces: memory stays at some tens of megabytes and a page.

A format says with `Layout` what its columns are called; everything else is the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data.readers.options import of_split
from tastemaker.data.readers.row import Place, Problem, Row

SUFFIX = ".parquet"
BATCH_BYTES = 16 << 20
BATCH_ROWS = 256
SPLIT = re.compile(r"(?P<split>.+)-\d{5}-of-\d{5}.*\.parquet")

Cells = dict[str, Any]
"""The cells of a row by their columns; text as bytes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a format: what each that is ``needed`` holds, those that are read where they are, and the row."""

    needed: dict[str, str]
    optional: tuple[str, ...]
    row: Callable[[Cells, str, Place], Row]
    title: str


@dataclass(frozen=True, slots=True)
class Shard:
    """One Parquet file: its name in the source, what it is, and how to get it (a download may be behind it)."""

    name: str
    identity: str
    fetch: Callable[[], Path]
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Shards:
    """A list of shards, read in order; each has the first of ``layouts`` whose columns are all there."""

    format: str
    layouts: tuple[Layout, ...]
    shards: tuple[Shard, ...]

    @property
    def rows(self) -> int | None:
        """The number of rows, when all footers are at hand."""
        counts = [shard.rows for shard in self.shards]
        return None if None in counts else sum(count or 0 for count in counts)

    @property
    def identity(self) -> list[str]:
        """Names and footers of the shards."""
        return [f"{shard.name} {shard.identity}" for shard in self.shards]

    def read(self, start: Place) -> Iterator[Row]:
        """The rows from ``start`` on."""
        for number, shard in enumerate(self.shards[start.file :], start.file):
            yield from _read_shard(shard, number, start, self.layouts)


def open_shards(path: Path, split: str | None, format: str, layouts: tuple[Layout, ...]) -> Shards:
    """A file, or all files in a folder in the order of their names.

    Raises `UserError` for files that are no Parquet, lack a column or have no rows, and for several splits.
    """
    files = [path] if path.is_file() else sorted(path.rglob(f"*{SUFFIX}"))
    if not files:
        raise UserError(f"{path}: no *{SUFFIX} in this folder")
    root = path.parent if path.is_file() else path
    chosen = of_split(files, split, str(path), lambda file: split_of(file.name))
    shards = tuple(local_shard(file, file.relative_to(root).as_posix(), layouts) for file in chosen)
    source = Shards(format, layouts, shards)
    if not source.rows:
        raise UserError(f"{path}: has no rows")
    return source


def split_of(name: str) -> str:
    """`data/train-00000-of-00012-abc.parquet` is of the split `train`."""
    match = SPLIT.fullmatch(name.rpartition("/")[2])
    return match["split"] if match else ""


def columns_of(path: Path) -> frozenset[str]:
    """The columns of a file, or of the first in a folder; none where it is no Parquet file."""
    first = path if path.is_file() else min(path.rglob(f"*{SUFFIX}"), default=path)
    try:
        return frozenset(pq.read_schema(first).names) if first.suffix.lower() == SUFFIX else frozenset()
    except (pa.ArrowException, OSError):
        return frozenset()


def local_shard(path: Path, name: str, layouts: Sequence[Layout]) -> Shard:
    """A file on disk. Raises `UserError` when it is no Parquet file or lacks a column."""
    file = _open(path, layouts)
    size = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, size - file.metadata.serialized_size - 8))
        footer = sha256_bytes(handle.read())
    return Shard(name, f"{size} {footer}", lambda: path, file.metadata.num_rows)


def text_cell(value: bytes | None, field: str) -> str | Problem:
    """A prompt's cell."""
    if value is None:
        return Problem(field, "prompt_missing", "null")
    return value.decode("utf-8", "surrogateescape")


def image_cell(value: bytes | None, field: str) -> bytes | Problem:
    """An image's cell."""
    return value or Problem(field, "image_missing", "null" if value is None else "empty")


def plain_cell(value: object) -> str:
    """A cell that is only written down, as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)


def _open(path: Path, layouts: Sequence[Layout]) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a whole Parquet file ({_text(error)}); download it again") from None
    layout = _layout(file, layouts)
    for name, kind in layout.needed.items():
        if name not in file.schema_arrow.names:
            hint = "; this is a variant without images" if kind == "bytes" else ""
            found = ", ".join(file.schema_arrow.names)
            raise UserError(f"{path}: lacks the column {name}{hint}; needs {', '.join(layout.needed)}, found {found}")
        if not _fits(file.schema_arrow.field(name).type, kind):
            found = file.schema_arrow.field(name).type
            raise UserError(f"{path}: the column {name} holds {found}, not {kind}; is this {layout.title}?")
    return file


def _layout(file: pq.ParquetFile, layouts: Sequence[Layout]) -> Layout:
    """The first layout whose columns are all there, else the first of all."""
    names = set(file.schema_arrow.names)
    return next((layout for layout in layouts if layout.needed.keys() <= names), layouts[0])


def _fits(found: pa.DataType, kind: str) -> bool:
    if kind == "true or false":
        return bool(pa.types.is_boolean(found)) or _fits(found, "a number")
    if kind == "text":
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
    if kind == "a number":
        return bool(pa.types.is_floating(found) or pa.types.is_integer(found))
    if pa.types.is_struct(found):  # the `Image` feature of the datasets library
        return any(field.name == "bytes" and _fits(field.type, kind) for field in found)
    return bool(pa.types.is_binary(found) or pa.types.is_large_binary(found))


def _read_shard(shard: Shard, number: int, start: Place, layouts: Sequence[Layout]) -> Iterator[Row]:
    path = shard.fetch()
    file = _open(path, layouts)
    layout = _layout(file, layouts)
    at = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if Place(number, at + rows - 1) >= start:
            yield from _rows(path, file, group, layout, shard.name, Place(number, at), start)
        at += rows


def _rows(
    path: Path, file: pq.ParquetFile, group: int, layout: Layout, source: str, at: Place, start: Place
) -> Iterator[Row]:
    facts = file.metadata.row_group(group)
    size = max(1, min(BATCH_ROWS, BATCH_BYTES * facts.num_rows // max(1, facts.total_byte_size)))
    columns = [name for name in (*layout.needed, *layout.optional) if name in file.schema_arrow.names]
    place = at
    try:
        for batch in file.iter_batches(size, [group], columns, use_threads=False):
            values = [_values(column) for column in batch.columns]
            for cells in zip(*values, strict=True):
                if place >= start:
                    yield layout.row(dict(zip(batch.schema.names, cells, strict=True)), source, place)
                place = place._replace(row=place.row + 1)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: damaged after row {place.row} ({_text(error)}); download it again") from None


def _values(column: pa.Array) -> list[Any]:
    """Python values; text stays bytes, because one invalid character would spoil the whole batch."""
    if pa.types.is_struct(column.type):
        return _values(column.field("bytes"))
    if pa.types.is_string(column.type):
        column = column.cast(pa.binary())
    if pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    values: list[Any] = column.to_pylist()
    return values


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
