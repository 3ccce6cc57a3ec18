"""Captions of images in folders: a text file beside each, or a table of all.

An image's caption stands in the text file beside it (`liked/cat.txt` for `liked/cat.png`), or, as the datasets
library's image folders have it, in a line of `metadata.jsonl` or `metadata.csv` (`file_name`, and one of `CAPTIONS`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file, sha256_text
from tastemaker.data.readers.files import read_inside, state
from tastemaker.data.readers.row import Place, Problem, Row, Unreadable
from tastemaker.data.readers.table import SUFFIXES, plain, records, tables, text_or_problem

METADATA = "metadata"
CAPTIONS = ("prompt", "text", "caption")
SIDECAR = ".txt"


@dataclass(frozen=True, slots=True)
class Broken:
    """A line of the table that names no image."""

    table: str
    line: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Entries:
    """An opened folder: what it holds by name, and then the lines of its table that are broken.

    Each is a file of its own to `Place`, so that a new image does not change the places, and ids, of the others.
    """

    root: Path
    entries: tuple[str | Broken, ...]
    captions: dict[str, str | Problem]
    """What the table says of an entry, by its name."""
    digest: str

    @property
    def rows(self) -> int:
        """How many entries there are."""
        return len(self.entries)

    @property
    def identity(self) -> list[str]:
        """The names, sizes and times of all files, and the table's content."""
        return [self.digest]

    def read(self, start: Place) -> Iterator[Row | Unreadable]:
        """The entries from ``start`` on."""
        root = self.root.resolve()
        for place, entry in placed(self.entries, start):
            if isinstance(entry, Broken):
                yield Unreadable(place, entry.table, entry.problem)
            else:
                yield self.row(root, entry, place)

    def row(self, root: Path, name: str, place: Place) -> Row:
        """What the entry ``name`` below ``root`` (resolved) says; each format has its own."""
        raise NotImplementedError


class Told(NamedTuple):
    """What a line of the table says: an image by its name in the source, and its caption."""

    name: str
    caption: str | Problem


def metadata(root: Path) -> Path | None:
    """The table of captions. Raises `UserError` when there are several."""
    found = [table for table in tables(root) if is_metadata(table)]
    if len(found) > 1:
        raise UserError(f"{root}: holds {' and '.join(table.name for table in found)}; keep one of them")
    return found[0] if found else None


def only_metadata(root: Path) -> bool:
    """Whether no table of the folder has a name that says that it holds comparisons."""
    return all(map(is_metadata, tables(root)))


def is_metadata(table: Path) -> bool:
    """Whether a table's name says that it holds captions, not comparisons."""
    return table.stem == METADATA and table.suffix.lower() in SUFFIXES


def read_captions(table: Path | None) -> Iterator[Told | Broken]:
    """The lines of the table."""
    if table is None:
        return
    for record in records(table):
        line = _line(record.fields)
        yield Broken(table.name, record.line, line) if isinstance(line, Problem) else line


def placed(entries: Sequence[str | Broken], start: Place) -> Iterator[tuple[Place, str | Broken]]:
    """The entries of a folder from ``start`` on; each is a file of its own."""
    for number, entry in enumerate(entries[start.file :], start.file):
        place = Place(number, entry.line if isinstance(entry, Broken) else 0)
        if place >= start:
            yield place, entry


def find_files(root: Path, folders: Sequence[str]) -> list[Path]:
    """The files that people put into ``folders``, at any depth."""
    return [path for folder in folders for path in sorted((root / folder).rglob("*")) if _counts(root, path)]


def fingerprint(root: Path, table: Path | None, files: Sequence[Path]) -> str:
    """Changes with the table's content, and names, sizes and times of the files."""
    content = [sha256_file(table)] if table else []
    return sha256_text("\n".join([*content, *(plain(f"{path.relative_to(root)} {state(path)}") for path in files)]))


def sidecar_of(name: str) -> str:
    """Where the caption of an image would lie."""
    return PurePosixPath(name).with_suffix(SIDECAR).as_posix()


def caption(root: Path, sidecar: str, told: str | Problem | None) -> str | Problem:
    """The caption of the text file or of the table; where both have one they must agree."""
    if not state(root / sidecar):
        return Problem("prompt", "prompt_missing", f"no {sidecar}, no line in a {METADATA}.*") if told is None else told
    data = read_inside(root, sidecar, "prompt")
    if isinstance(data, Problem):
        return Problem("prompt", "prompt_missing", data.detail)
    text = data.decode("utf-8-sig", "surrogateescape").strip()
    if isinstance(told, Problem) or told in (None, text):
        return told if isinstance(told, Problem) else text
    return Problem("prompt", "prompt_ambiguous", f"{sidecar} and {METADATA}.* have different captions")


def _counts(root: Path, path: Path) -> bool:
    """Whether a path is a file that people put there: not a folder, and not hidden, as the notes of file managers."""
    return not path.is_dir() and not any(part.startswith(".") for part in path.relative_to(root).parts)


def _line(fields: dict[str, Any] | Problem) -> Told | Problem:
    """The image that a line of the table names, and its caption."""
    if isinstance(fields, Problem):
        return fields
    name = PurePosixPath(str(fields.get("file_name") or ""))
    if not name.name:
        return Problem("file_name", "row_columns", "names no file")
    field = next((name for name in CAPTIONS if name in fields), None)
    missing = Problem("prompt", "prompt_missing", f"none of the fields {', '.join(CAPTIONS)}")
    return Told(name.as_posix(), text_or_problem(fields[field], field) if field else missing)
