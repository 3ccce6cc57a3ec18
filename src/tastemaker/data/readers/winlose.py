"""Two folders of images with the same names, of the better ones and of the worse: `w` and `l`, or others of `PAIRED`.

`w/cat.png` won against `l/cat.png`, or `l/cat.jpg`: the name without its ending counts. The caption is where
`captions` says, beside the winner (`w/cat.txt`) or in a line of the table, which names either of the two images, or
both by what is the same (`cat.png`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tastemaker.base.errors import UserError
from tastemaker.data.readers.captions import (
    METADATA,
    SIDECAR,
    Broken,
    Entries,
    caption,
    find_files,
    fingerprint,
    metadata,
    only_metadata,
    read_captions,
)
from tastemaker.data.readers.files import read_inside
from tastemaker.data.readers.options import Options
from tastemaker.data.readers.row import Place, Problem, Row, Side
from tastemaker.data.readers.table import plain

FORMAT = "winlose"
PAIRED = (("w", "l"), ("chosen", "rejected"), ("winner", "loser"))

Files = dict[str, list[str]]
"""The names of the images of one folder, by what a pair has in common."""


@dataclass(frozen=True, slots=True)
class WinLose(Entries):
    """An opened folder; an entry is a pair, by what the names of its images have in common."""

    folders: tuple[str, str]
    files: tuple[Files, Files]
    format: str = FORMAT

    def row(self, root: Path, name: str, place: Place) -> Row:
        """The pair ``name``; the image of the first folder won."""
        a, b = (
            _side(root, folder, name, files.get(name, []))
            for folder, files in zip(self.folders, self.files, strict=True)
        )
        prompt = caption(root, f"{self.folders[0]}/{name}{SIDECAR}", self.captions.get(name))
        return Row(place, plain(name), prompt, a, b, label="a")


def claims(path: Path) -> bool:
    """Whether a folder holds two such folders, and no table that would be comparisons."""
    return path.is_dir() and _folders(path) is not None and only_metadata(path)


def open_path(path: Path, options: Options) -> WinLose:
    """Look at a folder. Raises `UserError` when it has no such folders or no images, or several tables of captions."""
    options.refuse(path, "split", "question")
    if (folders := _folders(path)) is None:
        known = " or ".join(" and ".join(pair) for pair in PAIRED)
        raise UserError(f"{path}: needs two folders of images, {known}")
    table = metadata(path)
    found = [find_files(path, [folder]) for folder in folders]
    won, lost = (_by_name(path / folder, files) for folder, files in zip(folders, found, strict=True))
    if not won and not lost:
        raise UserError(f"{path}: no images in {' or '.join(folders)}")
    captions, broken = _captions(table, folders)
    entries: tuple[str | Broken, ...] = (*sorted({*won, *lost, *captions}), *broken)
    digest = fingerprint(path, table, [*found[0], *found[1]])
    return WinLose(path, entries, captions, digest, folders, (won, lost))


def _folders(path: Path) -> tuple[str, str] | None:
    return next((pair for pair in PAIRED if all((path / folder).is_dir() for folder in pair)), None)


def _by_name(folder: Path, files: Sequence[Path]) -> Files:
    """The images of a folder, and captions that have none beside them: somebody has lost an image."""
    names = [file.relative_to(folder).as_posix() for file in files]
    found: Files = {}
    for name in names:
        if not name.endswith(SIDECAR):
            found.setdefault(_common(name), []).append(name)
    for name in names:
        if name.endswith(SIDECAR):
            found.setdefault(name.removesuffix(SIDECAR), [])
    return found


def _common(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _captions(table: Path | None, folders: tuple[str, str]) -> tuple[dict[str, str | Problem], list[Broken]]:
    captions: dict[str, str | Problem] = {}
    broken: list[Broken] = []
    for line in read_captions(table):
        if isinstance(line, Broken):
            broken.append(line)
            continue
        first, _, rest = line.name.partition("/")
        name = _common(rest if first in folders and rest else line.name)
        twice = Problem("prompt", "prompt_ambiguous", f"{METADATA}.* has different captions for this pair")
        captions[name] = line.caption if captions.get(name, line.caption) == line.caption else twice
    return captions, broken


def _side(root: Path, folder: str, name: str, files: Sequence[str]) -> Side:
    if len(files) == 1:
        path = f"{folder}/{files[0]}"
        return Side(folder, read_inside(root, path, folder), extension=PurePosixPath(path).suffix.lower())
    several = f"{' and '.join(files)} in {folder}: which is it?"
    return Side(folder, Problem(folder, "image_missing", several if files else f"no image {name} in {folder}"))
