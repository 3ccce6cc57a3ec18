"""Files that a source names: read whole, and only from inside the source's folder."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path, PurePath

from tastemaker.data.readers.row import Problem

LARGEST_FILE = 100 << 20  # bytes of one image


def read_inside(root: Path, reference: str, field: str) -> bytes | Problem:
    """The bytes of the file ``reference`` below ``root`` (resolved), or why it is not read."""
    named = PurePath(reference)
    if named.is_absolute() or ".." in named.parts:
        return Problem(field, "image_outside_folder", reference)
    try:
        path = (root / named).resolve()
        if not path.is_relative_to(root):
            return Problem(field, "image_outside_folder", f"{reference} → {path}")
        return _read(path, reference, field)
    except (OSError, ValueError, RuntimeError) as error:
        text = getattr(error, "strerror", None) or str(error)
        return Problem(field, "image_missing", f"{reference}: {text}"[:300])


def read_one_of(root: Path, references: Sequence[str], field: str) -> bytes | Problem:
    """The first of the files that is there; why the first of all is not read where none is."""
    first = read_inside(root, references[0], field)
    for reference in references[1:]:
        if not isinstance(first, Problem) or first.reason != "image_missing":
            break
        found = read_inside(root, reference, field)
        if not isinstance(found, Problem):
            return found
    return first


def _read(path: Path, reference: str, field: str) -> bytes | Problem:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):  # reading a pipe would wait for ever
        return Problem(field, "image_missing", f"{reference}: not a file")
    if facts.st_size > LARGEST_FILE:
        return Problem(field, "image_file_too_large", f"{reference}: {facts.st_size} bytes, at most {LARGEST_FILE}")
    return path.read_bytes() or Problem(field, "image_missing", f"{reference}: empty")


def state(path: Path) -> str:
    """Size and time of a file, so that a changed one is noticed; empty where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"
