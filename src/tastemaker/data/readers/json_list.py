"""The items of a JSON list, `*.json`, in UTF-8: one after the other, so that a list may be larger than memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from tastemaker.base.errors import UserError

LIST = ".json"
LARGEST_ITEM = 1 << 22  # characters
CHUNK = 1 << 16  # characters that are read at a time
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def items(path: Path) -> Iterator[Any]:
    """The items of a list in order.

    Raises `UserError` naming the file and the item where the file is no list, breaks off or is not JSON, and for an
    item of more than `LARGEST_ITEM` characters.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            yield from _items(_Text(file), path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _items(text: _Text, path: Path) -> Iterator[Any]:
    if not text.take("["):
        raise UserError(f"{path}: not a JSON list")
    number = 0
    while not text.take("]"):
        where = f"{path}: item {number}"
        if number and not text.take(","):
            raise UserError(f"{where}: not readable as JSON (no comma before it); download it again")
        yield text.value(where)
        number += 1
    if text.peek():
        raise UserError(f"{path}: not readable as JSON (something behind the list); download it again")


class _Text:
    """A file's text from where it has been read to."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text, self._at = "", 0

    def peek(self) -> str:
        """The next character that is no white space, or "" at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or not self._more(CHUNK):
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> bool:
        """Whether ``character`` comes next; it is read then."""
        here = self.peek() == character
        self._at += here
        return here

    def value(self, where: str) -> Any:
        """The next JSON value. Raises `UserError` when there is none."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                held = len(self._text) - self._at  # as much again each time, so that a long item is not parsed for ever
                if held > LARGEST_ITEM or not self._more(max(CHUNK, held)):
                    raise UserError(f"{where}: not readable as JSON ({_why(error)}); download it again") from None
            else:
                if end + 2 < len(self._text) or not self._more(CHUNK):  # 15 may go on as 15e+3
                    self._at = end
                    return value

    def _more(self, characters: int) -> bool:
        more = self._file.read(characters)
        if more:
            self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)


def _why(error: Exception) -> str:
    """Without the line and column, which count from where reading has got to."""
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)
