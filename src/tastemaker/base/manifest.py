"""A folder that lists its own files: `manifest.json` holds the SHA-256 of each, so that damage is seen before use."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tastemaker.base import files
from tastemaker.base.errors import UserError

NAME = "manifest.json"


def write(folder: Path) -> None:
    """List what is in ``folder`` now; to be called last, in a folder that is not visible yet."""
    files.write_json(folder / NAME, {file.name: files.sha256_file(file) for file in sorted(folder.iterdir())})


def damage(folder: Path, needed: Collection[str], only: bool = False) -> str | None:
    """What is wrong with ``folder``, or None: a file that is ``needed`` and not listed, or one missing or changed.

    With ``only`` nothing but the needed files is looked at, where the others are large and not read.
    """
    try:
        listed = files.read_json(folder / NAME)
    except UserError:
        return f"{NAME} is missing or unreadable"
    lacking = [name for name in needed if not isinstance(listed, dict) or name not in listed]
    if lacking:
        return f"{NAME} lists no {lacking[0]}"
    wrong = (_damaged(folder / Path(name).name, listed[name]) for name in (needed if only else listed))
    return next((what for what in wrong if what), None)


def _damaged(file: Path, sha: str) -> str | None:
    if not file.is_file():
        return f"{file.name} is missing"
    return f"{file.name} has changed" if files.sha256_file(file) != sha else None
