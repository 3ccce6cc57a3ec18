"""Sets of prompts, in any of the forms they come in, with what the lists that papers use say of each prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.evaluate.prompt_table import FORMS, Row, Table, read_table

NAMES = (("prompt", "prompts"), ("caption",))
"""What a column of prompts is called, in small letters; the first of these that is there counts."""
FIELDS = ("category", "challenge", "style", "tag")
"""Columns that group the prompts, in small letters."""
WANTED = (*(name for names in NAMES for name in names), *FIELDS)
STYLES = ("anime", "concept-art", "paintings", "photo")
"""The files of HPSv2's benchmark (Wu et al. 2023, arXiv:2306.09341), 800 prompts each."""
PUBLISHED: Mapping[str, Callable[[set[str], str], bool]] = {
    "PartiPrompts": lambda columns, _: columns >= {"prompt", "category", "challenge", "note"},
    "DrawBench": lambda columns, _: columns == {"prompts", "category"},
    "GenEval": lambda columns, _: columns >= {"prompt", "tag", "include"},
    "Pick-a-Pic": lambda columns, _: columns >= {"caption", "jpg_0", "jpg_1"},
    "ImageReward": lambda columns, ending: columns == {"id", "prompt"} and ending == ".json",
}
"""Layout → whether a table with these columns (in small letters) and ending has it."""


@dataclass(frozen=True)
class PromptSet:
    """Prompts in order, and where they are from.

    ``groups`` has for each field, such as ``category``, the value of every prompt, "" where unknown. ``sha256`` is the
    file's; of a folder's files that of their hashes one after another. ``layout`` is what the file was recognised as:
    ``text``, ``list``, ``table``, ``HPSv2`` or one of `PUBLISHED`.
    """

    prompts: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    name: str
    sha256: str
    layout: str

    def record(self) -> dict[str, Any]:
        """What is kept of where images come from."""
        return {"name": self.name, "sha256": self.sha256, "layout": self.layout, "fields": list(self.groups)}

    def distinct(self, limit: int | None = None) -> PromptSet:
        """The first ``limit`` distinct prompts; a repeated one has the groups of its first place."""
        first: dict[str, int] = {}
        for index, prompt in enumerate(self.prompts):
            first.setdefault(prompt, index)
        kept = list(first.values())[:limit]
        groups = {field: tuple(values[index] for index in kept) for field, values in self.groups.items()}
        return dataclasses.replace(self, prompts=tuple(self.prompts[index] for index in kept), groups=groups)


class Columns(NamedTuple):
    """Where in a row the prompt stands, and where the value of each field."""

    prompt: str
    fields: Mapping[str, str]


def read_prompts(path: Path) -> list[str]:
    """The prompts of ``path`` in file order, blank ones left out, duplicates kept; read as by `read_prompt_set`."""
    return list(read_prompt_set(path).prompts)


def read_prompt_set(path: Path) -> PromptSet:
    """The prompts of ``path`` in file order, blank ones left out, duplicates kept.

    ``.txt`` has one a line. ``.csv``, ``.tsv``, ``.json`` (a list of objects, or of prompts alone), ``.jsonl`` and
    ``.parquet`` have a column ``prompt``, ``Prompts`` or ``caption`` (in any case) and, if they like, columns called
    category, challenge, style or tag: such as PartiPrompts, DrawBench, GenEval, Pick-a-Pic, ImageReward's benchmark and
    ``DATA/comparisons.parquet``. A folder is HPSv2's benchmark; its four lists have the field ``style``.

    Raises `UserError` naming file and row.
    """
    if path.is_dir():
        return _benchmark(path)
    table = read_table(path, WANTED)
    layout = _layout(path, table)
    found = list(_checked(path, table))
    if not found:
        raise UserError(f"{path}: holds no prompt; give {FORMS}")
    fields = [field for field in FIELDS if any(field in groups for _, groups in found)]
    columns = {field: tuple(groups.get(field, "") for _, groups in found) for field in fields}
    if layout == "HPSv2":
        columns = {"style": (path.stem,) * len(found)}
    return PromptSet(tuple(prompt for prompt, _ in found), columns, path.name, files.sha256_file(path), layout)


def given(prompts: Sequence[str]) -> PromptSet:
    """A set of prompts that no file holds; its hash is `prompts_sha`."""
    return PromptSet(tuple(prompts), {}, "given in a program", prompts_sha(prompts), "list")


def prompts_sha(prompts: Sequence[str]) -> str:
    """One hash of a list of prompts, order included."""
    return files.sha256_text("".join(map(files.sha256_text, prompts)))


def _benchmark(folder: Path) -> PromptSet:
    """HPSv2's four lists, one after another."""
    paths = [folder / f"{style}.json" for style in STYLES]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        raise UserError(
            f"{folder}: a folder without {', '.join(absent)}, so it is not HPSv2's benchmark; "
            f"give a file of prompts: {FORMS}"
        )
    parts = [read_prompt_set(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.layout != "HPSv2":
            raise UserError(f"{path}: HPSv2 has a list of prompts alone here; take out what is not a text")
    prompts = tuple(prompt for part in parts for prompt in part.prompts)
    styles = tuple(style for part in parts for style in part.groups["style"])
    sha = files.sha256_text("".join(part.sha256 for part in parts))
    return PromptSet(prompts, {"style": styles}, folder.resolve().name, sha, "HPSv2")


def _layout(path: Path, table: Table) -> str:
    ending, columns = path.suffix.lower(), {name.strip().lower() for name in table.columns}
    if table.form == "texts":
        return "text" if ending == ".txt" else "HPSv2" if path.stem in STYLES else "list"
    return next((name for name, fits in PUBLISHED.items() if fits(columns, ending)), "table")


def _checked(path: Path, table: Table) -> Iterator[tuple[str, dict[str, str]]]:
    """Prompt and groups of every row that is not blank."""
    shared = None if table.form == "objects" else _columns(f"{path}: ", table.columns)
    for row in table.rows:
        columns = shared or _columns(f"{path}: {row.where}: ", row.cells)
        prompt = _prompt(path, row, columns.prompt)
        if prompt.strip():
            yield prompt, {field: _value(path, row, column) for field, column in columns.fields.items()}


def _columns(place: str, names: Iterable[str]) -> Columns:
    """Which column is which. Raises `UserError` with the columns found when that cannot be told."""
    have = list(names)
    found = {name: [column for column in have if column.strip().lower() == name] for name in WANTED}
    prompts = next(filter(None, ([c for name in names for c in found[name]] for names in NAMES)), [])
    if len(prompts) != 1:
        listed = ", ".join(map(repr, have)) or "none"
        what = "more than one column of prompts" if prompts else "no column 'prompt' or 'caption'"
        raise UserError(f"{place}{what} among {listed}; rename one")
    for field in FIELDS:
        if len(found[field]) > 1:
            raise UserError(f"{place}columns {', '.join(map(repr, found[field]))} are one field; rename one")
    return Columns(prompts[0], {field: found[field][0] for field in FIELDS if found[field]})


def _prompt(path: Path, row: Row, column: str) -> str:
    if column not in row.cells:
        raise UserError(f"{path}: {row.where}: no value for {column!r}; fill it in")
    value = row.cells[column]
    if value is None and path.suffix.lower() == ".parquet":  # an empty cell; JSON's null is somebody's mistake
        return ""
    if not isinstance(value, str):
        raise UserError(f"{path}: {row.where}: {column!r} holds no text but {type(value).__name__}; give a text")
    return _characters(path, row, value)


def _value(path: Path, row: Row, column: str) -> str:
    """A group's name; a number is written out, a missing one (or a table's NaN) is ""."""
    value = row.cells.get(column)
    if value is None or value != value:
        return ""
    if not isinstance(value, str | int | float):
        raise UserError(f"{path}: {row.where}: {column!r} holds no text but {type(value).__name__}; give a text")
    return _characters(path, row, str(value).strip())


def _characters(path: Path, row: Row, text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UserError(f"{path}: {row.where}: half of a surrogate pair, not a character; write it as UTF-8")
    return text
