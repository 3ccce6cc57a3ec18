"""Two folders of images, `liked` and `disliked`: where an image lies is its verdict.

An image's caption stands in the text file beside it (`liked/cat.txt` for `liked/cat.png`), or, as the datasets
library's image folders have it, in a line of `metadata.jsonl` or `metadata.csv` (`file_name`, and one of `CAPTIONS`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file, sha256_text
from tastemaker.data.comparison import SINGLES, Label
from tastemaker.data.readers.files import read_inside, state
from tastemaker.data.readers.row import Place, Problem, Row, Side, Unreadable
from tastemaker.data.readers.table import SUFFIXES, plain, records, text_or_problem

METADATA = "metadata"
CAPTIONS = ("prompt", "text", "caption")
SIDECAR = ".txt"

Captions = dict[str, str | Problem]
"""What the table says of an image, by the image's name."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A line of the table that names no image."""

    table: str
    line: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Verdicts:
    """An opened folder: the names of its images, relative to it, and then the lines that are broken.

    Each is a file of its own to `Place`, so that a new image does not change the places, and ids, of the others.
    """

    root: Path
    entries: tuple[str | Broken, ...]
    captions: Captions
    digest: str
    format: str = "verdicts"

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
        root, first = self.root.resolve(), start.file + (start.row > 0)
        for number, entry in enumerate(self.entries[first:], first):
            if isinstance(entry, Broken):
                yield Unreadable(Place(number, entry.line), entry.table, entry.problem)
            else:
                yield _row(root, entry, Place(number, 0), self.captions.get(entry))


def open_verdicts(root: Path, tables: list[Path]) -> Verdicts:
    """Look at a folder. Raises `UserError` when it has no images, or several tables of captions."""
    if len(tables) > 1:
        raise UserError(f"{root}: holds {' and '.join(table.name for table in tables)}; keep one of them")
    captions, broken = _read_table(tables[0]) if tables else ({}, [])
    files = [path for verdict in SINGLES for path in sorted((root / verdict).rglob("*")) if _counts(root, path)]
    names = {path.relative_to(root).as_posix() for path in files}
    if not names:
        raise UserError(f"{root}: no images in {' or '.join(SINGLES)}")
    captioned = {name.rpartition(".")[0] for name in names if not name.endswith(SIDECAR)}
    sidecars = {name for name in names if name.endswith(SIDECAR) and name.removesuffix(SIDECAR) in captioned}
    digest = [
        *(sha256_file(table) for table in tables),
        *(plain(f"{path.relative_to(root)} {state(path)}") for path in files),
    ]
    entries: tuple[str | Broken, ...] = (*sorted((names - sidecars) | captions.keys()), *broken)
    return Verdicts(root, entries, captions, sha256_text("\n".join(digest)))


def is_metadata(table: Path) -> bool:
    """Whether a table's name says that it holds captions, not comparisons."""
    return table.stem == METADATA and table.suffix.lower() in SUFFIXES


def _counts(root: Path, path: Path) -> bool:
    """Whether a path is a file that people put there: not a folder, and not hidden, as the notes of file managers."""
    return not path.is_dir() and not any(part.startswith(".") for part in path.relative_to(root).parts)


def _read_table(table: Path) -> tuple[Captions, list[Broken]]:
    captions: Captions = {}
    broken: list[Broken] = []
    for record in records(table):
        line = _line(record.fields)
        if isinstance(line, Problem):
            broken.append(Broken(table.name, record.line, line))
            continue
        name, caption = line
        twice = Problem("prompt", "prompt_ambiguous", f"{table.name} has several lines for this image")
        captions[name] = twice if name in captions else caption
    return captions, broken


def _line(fields: dict[str, Any] | Problem) -> tuple[str, str | Problem] | Problem:
    """The image that a line of the table names, and its caption."""
    if isinstance(fields, Problem):
        return fields
    name = PurePosixPath(str(fields.get("file_name") or ""))
    if not name.name:
        return Problem("file_name", "row_columns", "names no file")
    field = next((name for name in CAPTIONS if name in fields), None)
    missing = Problem("prompt", "prompt_missing", f"none of the fields {', '.join(CAPTIONS)}")
    return name.as_posix(), text_or_problem(fields[field], field) if field else missing


def _row(root: Path, name: str, place: Place, told: str | Problem | None) -> Row:
    named = PurePosixPath(name)
    return Row(
        place,
        plain(name),
        prompt=_prompt(root, name, told),
        a=Side("image", _image(root, name), extension=named.suffix.lower()),
        b=None,
        label=_verdict(named),
    )


def _image(root: Path, name: str) -> bytes | Problem:
    if name.endswith(SIDECAR):
        return Problem("image", "image_missing", f"{name}: a caption without an image beside it")
    return read_inside(root, name, "image")


def _verdict(name: PurePosixPath) -> Label | Problem:
    found = next((verdict for verdict in SINGLES if verdict == name.parts[0]), None)
    return found or Problem("label", "unlabelled", f"{name} lies in neither of {', '.join(SINGLES)}")


def _prompt(root: Path, name: str, told: str | Problem | None) -> str | Problem:
    """The caption of the text file or of the table; where both have one they must agree."""
    sidecar = PurePosixPath(name).with_suffix(SIDECAR).as_posix()
    if not state(root / sidecar):
        return Problem("prompt", "prompt_missing", f"no {sidecar}, no line in a {METADATA}.*") if told is None else told
    data = read_inside(root, sidecar, "prompt")
    if isinstance(data, Problem):
        return Problem("prompt", "prompt_missing", data.detail)
    text = data.decode("utf-8-sig", "surrogateescape").strip()
    if isinstance(told, Problem) or told in (None, text):
        return told if isinstance(told, Problem) else text
    return Problem("prompt", "prompt_ambiguous", f"{sidecar} and {METADATA}.* have different captions")
