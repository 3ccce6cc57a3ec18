"""One reader for each format people bring; `open_source` finds the right one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tastemaker.base.errors import UserError
from tastemaker.data.comparison import SINGLES
from tastemaker.data.readers.folder import open_folder
from tastemaker.data.readers.hub import NAME, hub_shards
from tastemaker.data.readers.pickapic import PickAPic, Shard, local_shard
from tastemaker.data.readers.row import Source
from tastemaker.data.readers.table import SUFFIXES
from tastemaker.data.readers.verdicts import is_metadata, open_verdicts

Format = Literal["auto", "pickapic", "folder", "verdicts"]
SPLIT = re.compile(r"(?P<split>.+)-\d{5}-of-\d{5}.*\.parquet")


def open_source(source: str, format: Format = "auto", split: str | None = None) -> Source:
    """Open what a user named: a file, a folder or a hub id. Raises `UserError` when it cannot be read."""
    path = Path(source)
    if not path.exists() and NAME.fullmatch(source):
        return PickAPic(tuple(_of_split(hub_shards(source), split, source)))
    if not path.exists():
        raise UserError(f"{source}: no such file or folder; give a file, a folder or a hub id (owner/name)")
    kind = _guess(path) if format == "auto" else format
    return READERS[kind](path, split)


def _pickapic(path: Path, split: str | None) -> Source:
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files:
        raise UserError(f"{path}: no *.parquet in this folder")
    root = path.parent if path.is_file() else path
    names = {file.relative_to(root).as_posix(): file for file in files}
    chosen = _of_split([Shard(name, "", lambda: path) for name in names], split, str(path))
    source = PickAPic(tuple(local_shard(names[shard.name], shard.name) for shard in chosen))
    if not source.rows:
        raise UserError(f"{path}: has no rows")
    return source


def _folder(path: Path, split: str | None) -> Source:
    if split is not None:
        raise UserError(f"{path}: --split is for Pick-a-Pic; a folder has one table")
    tables = [path] if path.is_file() else _tables(path)
    if len(tables) != 1:
        found = ", ".join(table.name for table in tables) or "none"
        raise UserError(f"{path}: needs one *.jsonl or *.csv, found {found}; name the table instead of the folder")
    if tables[0].suffix.lower() not in SUFFIXES:
        raise UserError(f"{tables[0]}: a table is *.jsonl or *.csv")
    return open_folder(tables[0])


def _verdicts(path: Path, split: str | None) -> Source:
    if split is not None:
        raise UserError(f"{path}: --split is for Pick-a-Pic; {' and '.join(SINGLES)} are no splits")
    if not path.is_dir():
        raise UserError(f"{path}: not a folder; give the one that holds {' and '.join(SINGLES)}")
    return open_verdicts(path, [table for table in _tables(path) if is_metadata(table)])


READERS: dict[str, Callable[[Path, str | None], Source]] = {
    "pickapic": _pickapic,
    "folder": _folder,
    "verdicts": _verdicts,
}


def _tables(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())


def _guess(path: Path) -> str:
    if path.is_file():
        return "folder" if path.suffix.lower() in SUFFIXES else "pickapic"
    tables, parquet = _tables(path), any(path.rglob("*.parquet"))
    if any((path / verdict).is_dir() for verdict in SINGLES) and all(map(is_metadata, tables)) and not parquet:
        return "verdicts"
    if tables and parquet:
        raise UserError(f"{path}: holds tables and Parquet files; say --format folder or --format pickapic")
    if not tables and not parquet:
        raise UserError(f"{path}: no *.parquet, *.jsonl or *.csv in this folder, nor {' or '.join(SINGLES)}")
    return "folder" if tables else "pickapic"


def _of_split(shards: list[Shard], split: str | None, source: str) -> list[Shard]:
    """The shards of one split, so that test rows are never trained on by accident."""
    splits = {shard.name: _split(shard.name) for shard in shards}
    names = sorted(set(splits.values()) - {""})
    if split is None and len(names) > 1:
        raise UserError(f"{source}: holds the splits {', '.join(names)}; say which with --split")
    if split is not None and split not in names:
        raise UserError(f"{source}: has no split {split!r}; found {', '.join(names) or 'none'}")
    return [shard for shard in shards if split in (None, splits[shard.name])]


def _split(name: str) -> str:
    """`data/train-00000-of-00012-abc.parquet` is of the split `train`."""
    match = SPLIT.fullmatch(name.rpartition("/")[2])
    return match["split"] if match else ""
