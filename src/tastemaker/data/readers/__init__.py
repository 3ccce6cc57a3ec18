"""One reader for each format people bring; `open_source` finds the right one.

A reader is a module with ``claims(path)``, whether a file or folder looks like its format, and
``open_path(path, options)``; those of Parquet files have ``open_hub(shards, options)``, too. It is imported when it is
needed: some bring pyarrow along.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

from tastemaker.base.errors import UserError
from tastemaker.data.readers.options import Options, Question, of_split
from tastemaker.data.readers.row import Source

if TYPE_CHECKING:
    from tastemaker.data.readers.parquet import Shard

Kind = Literal[
    "pickapic", "folder", "verdicts", "winlose", "hpdv2", "hpdv3", "imagereward", "rapidata", "d3po",
]  # fmt: skip
Format = Literal["auto"] | Kind
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Each is the name of its module."""
GENERAL: tuple[Kind, ...] = ("pickapic", "folder")
"""What Parquet files and tables are read as where no other format knows its fields in them."""
ON_HUB: tuple[Kind, ...] = ("pickapic", "rapidata")
HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


class Reader(Protocol):
    """A module that reads one format."""

    def claims(self, path: Path) -> bool:
        """Whether a file or folder looks like the format; it may still turn out to be broken."""

    def open_path(self, path: Path, options: Options) -> Source:
        """Open a file or folder. Raises `UserError` when it cannot be read."""

    def open_hub(self, shards: list[Shard], options: Options) -> Source:
        """Open files of the hub, which are downloaded as they are read; only readers of `ON_HUB` have this."""


def open_source(
    source: str, format: Format = "auto", split: str | None = None, question: Question | None = None
) -> Source:
    """Open what a user named: a file, a folder or a hub id. Raises `UserError` when it cannot be read."""
    if format != "auto" and format not in KINDS:
        raise UserError(f"--format {format}: is none of auto, {', '.join(KINDS)}")
    path, options = Path(source), Options(split, question)
    if path.exists():
        return reader(_guess(path) if format == "auto" else format).open_path(path, options)
    if not HUB_NAME.fullmatch(source):
        raise UserError(f"{source}: no such file or folder; give a file, a folder or a hub id (owner/name)")
    return _open_hub(source, format, options)


def reader(kind: Kind) -> Reader:
    """The module of a format."""
    return cast(Reader, import_module(f"{__name__}.{kind}"))


def _open_hub(source: str, format: Format, options: Options) -> Source:
    from tastemaker.data.readers.hub import hub_shards
    from tastemaker.data.readers.parquet import split_of
    from tastemaker.data.readers.rapidata import OWNER

    kind: Kind = format if format != "auto" else "rapidata" if source.lower().startswith(OWNER) else "pickapic"
    if kind not in ON_HUB:
        raise UserError(f"{source}: --format {kind} reads files and folders; download it and name its folder")
    shards = of_split(hub_shards(source), options.split, source, lambda shard: split_of(shard.name))
    return reader(kind).open_hub(shards, options)


def _guess(path: Path) -> Kind:
    """The one format that claims ``path``; the general ones are asked when no other does."""
    special = [kind for kind in KINDS if kind not in GENERAL and reader(kind).claims(path)]
    found = special or [kind for kind in GENERAL if reader(kind).claims(path)]
    if len(found) > 1:
        raise UserError(f"{path}: may be {' or '.join(found)}; say which with --format")
    if not found:
        raise UserError(
            f"{path}: nothing in it looks like {', '.join(KINDS[:-1])} or {KINDS[-1]}; name one with --format"
        )
    return found[0]
