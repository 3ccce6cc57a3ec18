"""Two folders of images, `liked` and `disliked`: where an image lies is its verdict.

Its caption is where `captions` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tastemaker.base.errors import UserError
from tastemaker.data.comparison import SINGLES, Label
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
    sidecar_of,
)
from tastemaker.data.readers.files import read_inside
from tastemaker.data.readers.options import Options
from tastemaker.data.readers.row import Place, Problem, Row, Side
from tastemaker.data.readers.table import plain

FORMAT = "verdicts"

Captions = dict[str, str | Problem]
"""What the table says of an image, by the image's name."""


@dataclass(frozen=True, slots=True)
class Verdicts(Entries):
    """An opened folder; an entry is an image."""

    format: str = FORMAT

    def row(self, root: Path, name: str, place: Place) -> Row:
        """The image ``name``: where it lies is its verdict."""
        named = PurePosixPath(name)
        return Row(
            place,
            plain(name),
            prompt=caption(root, sidecar_of(name), self.captions.get(name)),
            a=Side("image", _image(root, name), extension=named.suffix.lower()),
            b=None,
            label=_verdict(named),
        )


def claims(path: Path) -> bool:
    """Whether a folder holds one of the two, and no table or Parquet file that would be comparisons."""
    found = path.is_dir() and any((path / verdict).is_dir() for verdict in SINGLES)
    return found and only_metadata(path) and not any(path.rglob("*.parquet"))


def open_path(path: Path, options: Options) -> Verdicts:
    """Look at a folder. Raises `UserError` when it has no images, or several tables of captions."""
    options.refuse(path, "split", "question")
    if not path.is_dir():
        raise UserError(f"{path}: not a folder; give the one that holds {' and '.join(SINGLES)}")
    table = metadata(path)
    captions, broken = _captions(table)
    files = find_files(path, SINGLES)
    names = {file.relative_to(path).as_posix() for file in files}
    if not names:
        raise UserError(f"{path}: no images in {' or '.join(SINGLES)}")
    captioned = {name.rpartition(".")[0] for name in names if not name.endswith(SIDECAR)}
    sidecars = {name for name in names if name.endswith(SIDECAR) and name.removesuffix(SIDECAR) in captioned}
    entries: tuple[str | Broken, ...] = (*sorted((names - sidecars) | captions.keys()), *broken)
    return Verdicts(path, entries, captions, fingerprint(path, table, files))


def _captions(table: Path | None) -> tuple[Captions, list[Broken]]:
    captions: Captions = {}
    broken: list[Broken] = []
    for line in read_captions(table):
        if isinstance(line, Broken):
            broken.append(line)
            continue
        twice = Problem("prompt", "prompt_ambiguous", f"{METADATA}.* has several lines for this image")
        captions[line.name] = twice if line.name in captions else line.caption
    return captions, broken


def _image(root: Path, name: str) -> bytes | Problem:
    if name.endswith(SIDECAR):
        return Problem("image", "image_missing", f"{name}: a caption without an image beside it")
    return read_inside(root, name, "image")


def _verdict(name: PurePosixPath) -> Label | Problem:
    found = next((verdict for verdict in SINGLES if verdict == name.parts[0]), None)
    return found or Problem("label", "unlabelled", f"{name} lies in neither of {', '.join(SINGLES)}")
