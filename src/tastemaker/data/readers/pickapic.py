"""Pick-a-Pic v1 and v2: Parquet with `caption`, `jpg_0`, `jpg_1` (encoded bytes), `label_0` and more.

`label_0` is the share of the preference of the first image (1, 0, 0.5); `has_label` false means nobody judged.
`best_image_uid` repeats what `label_0` says and is not read. Single images stand in the same way with a verdict each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data.comparison import parse_label, parse_verdict
from tastemaker.data.readers.row import Place, Problem, Row, Side, read_label

OPTIONAL = ("has_label", "user_id")
BATCH_BYTES = 16 << 20
BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns are called: of two images with a label, or of one with a verdict."""

    prompt: str
    images: tuple[str, ...]
    label: str
    models: tuple[str, ...]

    @property
    def needed(self) -> dict[str, str]:
        """The columns that must be there, and what they hold."""
        verdict = "a number" if len(self.images) == 2 else "true or false"
        return {self.prompt: "text", **dict.fromkeys(self.images, "bytes"), self.label: verdict}


PAIRS = Layout("caption", ("jpg_0", "jpg_1"), "label_0", ("model_0", "model_1"))
SINGLE = [
    Layout(prompt, (image,), label, ("model",))
    for prompt, image in (("caption", "jpg"), ("prompt", "image"))
    for label in ("liked", "label")
]


@dataclass(frozen=True, slots=True)
class Shard:
    """One Parquet file: its name in the source, what it is, and how to get it (a download may be behind it)."""

    name: str
    identity: str
    fetch: Callable[[], Path]
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class PickAPic:
    """A list of Pick-a-Pic shards, read in order."""

    shards: tuple[Shard, ...]
    format: str = "pickapic"

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
        """The rows from ``start`` on; memory stays at some tens of megabytes."""
        for number, shard in enumerate(self.shards[start.file :], start.file):
            first = start.row if number == start.file else 0
            yield from _read_shard(shard, number, first)


def local_shard(path: Path, name: str) -> Shard:
    """A file on disk. Raises `UserError` when it is no Parquet file or lacks a column."""
    file = _open(path)
    size = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, size - file.metadata.serialized_size - 8))
        footer = sha256_bytes(handle.read())
    return Shard(name, f"{size} {footer}", lambda: path, file.metadata.num_rows)


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a whole Parquet file ({_text(error)}); download it again") from None
    needed = _layout(file.schema_arrow.names).needed
    for name, kind in needed.items():
        if name not in file.schema_arrow.names:
            hint = "; this is a variant without images" if name.startswith("jpg") else ""
            found = ", ".join(file.schema_arrow.names)
            raise UserError(f"{path}: lacks the column {name}{hint}; needs {', '.join(needed)}, found {found}")
        if not _fits(file.schema_arrow.field(name).type, kind):
            found = file.schema_arrow.field(name).type
            raise UserError(f"{path}: the column {name} holds {found}, not {kind}; is this Pick-a-Pic?")
    return file


def _layout(columns: list[str]) -> Layout:
    """The first layout whose columns are all there, else that of Pick-a-Pic."""
    return next((layout for layout in (PAIRS, *SINGLE) if layout.needed.keys() <= set(columns)), PAIRS)


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


def _read_shard(shard: Shard, number: int, first: int) -> Iterator[Row]:
    path = shard.fetch()
    file = _open(path)
    at = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if at + rows > first:
            yield from _read_group(path, file, group, shard.name, Place(number, at), first)
        at += rows


def _read_group(path: Path, file: pq.ParquetFile, group: int, source: str, at: Place, first: int) -> Iterator[Row]:
    facts = file.metadata.row_group(group)
    size = max(1, min(BATCH_ROWS, BATCH_BYTES * facts.num_rows // max(1, facts.total_byte_size)))
    layout = _layout(file.schema_arrow.names)
    columns = [name for name in (*layout.needed, *layout.models, *OPTIONAL) if name in file.schema_arrow.names]
    row = at.row
    try:
        for batch in file.iter_batches(size, [group], columns, use_threads=False):
            values = [_values(column) for column in batch.columns]
            for cells in zip(*values, strict=True):
                if row >= first:
                    yield _row(layout, dict(zip(batch.schema.names, cells, strict=True)), source, Place(at.file, row))
                row += 1
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: damaged after row {row} ({_text(error)}); download it again") from None


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


def _row(layout: Layout, cells: dict[str, Any], source: str, place: Place) -> Row:
    names = zip(layout.images, layout.models, strict=True)
    a, *b = (Side(name, _image(cells[name], name), _plain(cells.get(model))) for name, model in names)
    parse = parse_label if b else parse_verdict
    return Row(
        place,
        source,
        prompt=_prompt(cells[layout.prompt], layout.prompt),
        a=a,
        b=b[0] if b else None,
        label=read_label(parse, cells[layout.label], layout.label, cells.get("has_label") is not False),
        judge=_plain(cells.get("user_id")),
    )


def _prompt(value: bytes | None, field: str) -> str | Problem:
    if value is None:
        return Problem(field, "prompt_missing", "null")
    return value.decode("utf-8", "surrogateescape")


def _image(value: bytes | None, field: str) -> bytes | Problem:
    return value or Problem(field, "image_missing", "null" if value is None else "empty")


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
