"""A folder of images with one table, `*.jsonl` or `*.csv`.

A row has the fields of one of the `FORMS`, and `judge` and the images' models at will. Image paths are relative to the
table's folder and may not leave it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file
from tastemaker.data.comparison import parse_verdict
from tastemaker.data.readers.files import read_inside, state
from tastemaker.data.readers.options import Options
from tastemaker.data.readers.row import Place, Preference, Problem, Row, Side, Unreadable, read_label, read_preference
from tastemaker.data.readers.table import SUFFIXES, Record, kind, plain, records, tables, text_or_problem

FORMAT = "folder"
LOOKED_AT = 100  # rows in which a JSONL must show its fields


@dataclass(frozen=True, slots=True)
class Form:
    """What the fields of a row are called. Without a ``label`` the first of the images is the better one."""

    images: tuple[str, ...]
    label: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """All that a row must have."""
        return ("prompt", *self.images, *filter(None, [self.label]))

    def judgement(self, fields: dict[str, Any]) -> Preference:
        """What a row says."""
        if not self.label:
            return Preference("a")
        if len(self.images) == 2:
            return read_preference(fields[self.label], self.label)
        return Preference(read_label(parse_verdict, fields[self.label], self.label))


FORMS = (
    Form(("chosen", "rejected")),
    Form(("image_a", "image_b"), "label"),
    Form(("image",), "liked"),
    Form(("image",), "label"),
)
NEEDED = "; ".join(", ".join(form.fields) for form in FORMS)
MODELS = {1: ("model",), 2: ("model_a", "model_b")}
"""The fields that say what made the images, by their number."""


@dataclass(frozen=True, slots=True)
class Folder:
    """An opened folder."""

    table: Path
    rows: int
    digest: str
    format: str = FORMAT

    @property
    def identity(self) -> list[str]:
        """The table's content, and size and time of every image it names."""
        return [self.table.name, self.digest]

    def read(self, start: Place) -> Iterator[Row | Unreadable]:
        """The rows from line ``start.row`` on."""
        root = self.table.parent.resolve()
        for record in records(self.table):
            if Place(0, record.line) >= start:
                yield _row(record, root, self.table.name)


def claims(path: Path) -> bool:
    """Whether this is a table, of whatever fields, or a folder with one in it."""
    return path.suffix.lower() in SUFFIXES if path.is_file() else bool(tables(path))


def open_path(path: Path, options: Options) -> Folder:
    """A table, or a folder with one. Raises `UserError` where there is none or are several, and as `open_table`."""
    options.refuse(path, "split", "question")
    found = [path] if path.is_file() else tables(path)
    if len(found) != 1:
        names = ", ".join(table.name for table in found) or "none"
        raise UserError(f"{path}: needs one *.jsonl or *.csv, found {names}; name the table instead of the folder")
    if found[0].suffix.lower() not in SUFFIXES:
        raise UserError(f"{found[0]}: a table is *.jsonl or *.csv")
    return open_table(found[0])


def open_table(table: Path) -> Folder:
    """Look at a table. Raises `UserError` when it is empty or has not the fields of one of the forms."""
    rows, digest = 0, hashlib.sha256(sha256_file(table).encode())
    right, found = False, list[str]()
    for rows, record in enumerate(records(table), 1):
        if isinstance(record.fields, Problem):
            continue
        right = right or _form(record.fields) is not None
        found = found or sorted(map(str, record.fields))
        if not right and rows >= LOOKED_AT:
            break
        digest.update(_states(table.parent, record.fields).encode())
    if not rows:
        raise UserError(f"{table}: has no rows")
    if not right:
        raise UserError(f"{table}: needs the fields of one of: {NEEDED}; found {', '.join(found) or 'none'}")
    return Folder(table, rows, digest.hexdigest())


def _form(fields: dict[str, Any]) -> Form | None:
    return next((form for form in FORMS if set(form.fields) <= fields.keys()), None)


def _states(root: Path, fields: dict[str, Any]) -> str:
    names = dict.fromkeys(name for form in FORMS for name in form.images if name in fields)
    return " ".join(state(root / str(fields[name])) for name in names)


def _row(record: Record, root: Path, source: str) -> Row | Unreadable:
    place, fields = Place(0, record.line), record.fields
    if isinstance(fields, Problem):
        return Unreadable(place, source, fields)
    form = _form(fields)
    if form is None:
        return Unreadable(place, source, Problem("", "row_columns", f"lacks {_lacks(fields)}"))
    models = (fields.get(name) for name in MODELS[len(form.images)])
    a, *b = (_side(root, fields[name], name, model) for name, model in zip(form.images, models, strict=True))
    return Row(
        place,
        source,
        prompt=text_or_problem(fields["prompt"]),
        a=a,
        b=b[0] if b else None,
        judge=plain(fields.get("judge")),
        **form.judgement(fields)._asdict(),
    )


def _lacks(fields: dict[str, Any]) -> str:
    """The fields that are missing of the form that comes closest."""
    lacking = [[name for name in form.fields if name not in fields] for form in FORMS]
    closest = min(lacking, key=len)
    return ", ".join(closest)


def _side(root: Path, reference: object, field: str, model: object) -> Side:
    if not isinstance(reference, str) or not reference:
        return Side(field, Problem(field, "image_missing", f"not a path but {kind(reference)}"))
    return Side(field, read_inside(root, reference, field), plain(model), PurePath(reference).suffix.lower())
