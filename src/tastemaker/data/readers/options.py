"""What a user may say of a source besides its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, get_args

from tastemaker.base.errors import UserError

T = TypeVar("T")
Question = Literal["preference", "coherence", "alignment"]
QUESTIONS: tuple[Question, ...] = get_args(Question)


class Options(NamedTuple):
    """``split`` picks the rows of one split, or of several by a pattern; ``question`` which answers count."""

    split: str | None = None
    question: Question | None = None

    def refuse(self, path: Path, *names: str) -> None:
        """Raise `UserError` for those of the options ``names`` that are given: this format has no use for them."""
        for name in names:
            if getattr(self, name) is not None:
                raise UserError(f"{path}: --{name} means nothing here; leave it out")


def of_split(files: Sequence[T], split: str | None, source: str, name_of: Callable[[T], str]) -> list[T]:
    """The files of one split, so that test rows are never trained on by accident; ``name_of`` is a file's split, or "".

    Raises `UserError` where there are several and none is named, and where none is called so.
    """
    names = sorted({name_of(file) for file in files} - {""})
    if split is None and len(names) > 1:
        raise UserError(f"{source}: holds the splits {', '.join(names)}; say which with --split")
    if split is not None and not any(fnmatchcase(name, split) for name in names):
        raise UserError(f"{source}: has no split {split!r}; found {', '.join(names) or 'none'}")
    return [file for file in files if split is None or fnmatchcase(name_of(file), split)]
