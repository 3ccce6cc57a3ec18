"""A file of prompts, in any of the forms they come in."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tastemaker.base.errors import UserError

COLUMNS = ("prompt", "Prompt", "caption")
FORMS = ".txt (one prompt a line), .csv, .tsv, .jsonl or .parquet with a column 'prompt' or 'caption'"


def read_prompts(path: Path) -> list[str]:
    """The prompts of ``path`` in file order, blank ones left out, duplicates kept.

    ``.txt`` has one a line; ``.csv``, ``.tsv``, ``.jsonl`` and ``.parquet`` (such as ``DATA/comparisons.parquet``) a
    column named ``prompt``, ``Prompt`` or ``caption``. Raises `UserError` naming file and row.
    """
    readers = {".txt": _text, ".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl, ".parquet": _parquet}
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a file of prompts: {FORMS}")
    if path.suffix.lower() not in readers:
        raise UserError(f"{path}: unknown kind of prompt file; give {FORMS}")
    try:
        prompts = [prompt for prompt in readers[path.suffix.lower()](path) if prompt.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start}: not UTF-8; save the file as UTF-8") from None
    for number, prompt in enumerate(prompts, 1):
        if any("\ud800" <= character <= "\udfff" for character in prompt):
            raise UserError(f"{path}: prompt {number}: half of a surrogate pair, not a character; write it as UTF-8")
    if not prompts:
        raise UserError(f"{path}: holds no prompt; give {FORMS}")
    return prompts


def _text(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8-sig").split("\n"):
        yield line.rstrip("\r")


def _csv(path: Path, delimiter: str = ",") -> Iterator[str]:
    csv.field_size_limit(2**27)
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, delimiter=delimiter)
        column = _column(path, rows.fieldnames or ())
        try:
            for row in rows:
                if row[column] is None:
                    raise UserError(f"{path}: line {rows.line_num}: no value for {column!r}; fill it in")
                yield row[column]
        except csv.Error as error:
            raise UserError(f"{path}: line {rows.line_num}: {error}; save the table again") from None


def _tsv(path: Path) -> Iterator[str]:
    return _csv(path, "\t")


def _jsonl(path: Path) -> Iterator[str]:
    for number, line in enumerate(_text(path), 1):
        if line.strip():
            yield _json_prompt(path, number, line)


def _json_prompt(path: Path, number: int, line: str) -> str:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path}: line {number}: not JSON ({error}); write one object a line") from None
    if not isinstance(row, dict):
        raise UserError(f'{path}: line {number}: not an object; write {{"prompt": "…"}}')
    column = _column(path, row, f"line {number}: ")
    prompt = row[column]
    if not isinstance(prompt, str):
        raise UserError(f"{path}: line {number}: {column!r} is not a text; quote it")
    return prompt


def _parquet(path: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            column = _column(path, file.schema_arrow.names)
            for batch in file.iter_batches(columns=[column]):
                yield from _strings(path, column, batch.column(0).to_pylist())
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not readable as Parquet ({str(error).splitlines()[0]}); make it again") from None


def _strings(path: Path, column: str, values: list[object]) -> Iterator[str]:
    for value in values:
        if value is not None and not isinstance(value, str):
            raise UserError(f"{path}: column {column!r} holds no text but {type(value).__name__}; give texts")
        yield value or ""


def _column(path: Path, names: Iterable[str], where: str = "") -> str:
    have = list(names)
    for column in COLUMNS:
        if column in have:
            return column
    found = ", ".join(map(repr, have)) or "none"
    raise UserError(f"{path}: {where}no column 'prompt' or 'caption' among {found}; rename one")
