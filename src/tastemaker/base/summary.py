"""What a verb reports when it is done: `summary.json` beside its output, and the same on one screen.

A summary that stores the fingerprint of its inputs also says that the output is finished, which is how a
verb that is run twice recognises its own work.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tastemaker import __version__
from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json, sha256_text, write_json

NAME = "summary.json"
LONGEST_LIST = 12
WIDEST = 80
"""Characters of a list on one line; a longer one gets a line for each item."""


def finish(folder: Path, verb: str, started: float, **facts: Any) -> dict[str, Any]:
    """Write ``folder/summary.json`` and return what is in it.

    ``started`` is `time.monotonic()` of the verb's beginning. ``facts`` are the verb's counts and figures (what JSON
    can hold, and paths); give ``fingerprint=`` for `finished` to recognise the output. Write everything else first.
    """
    seconds = time.monotonic() - started
    assert seconds >= 0, "started must come from time.monotonic()"
    summary = {"verb": verb, "tastemaker": __version__, "seconds": round(seconds, 3), **_plain(facts)}
    write_json(folder / NAME, summary)
    return summary


def finished(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The summary of a finished output with this ``fingerprint``, or None when there is none yet.

    Raises `UserError` when ``folder`` holds the finished output of other inputs or settings.
    """
    path = folder / NAME
    if not path.exists():
        return None
    summary = read_json(path)
    if not isinstance(summary, dict) or summary.get("fingerprint") != fingerprint:
        raise UserError(f"{folder}: holds the output of other inputs or settings; choose another --out or remove it")
    return summary


def fingerprint(**inputs: Any) -> str:
    """Hex SHA-256 of the canonical JSON of ``inputs`` (what JSON can hold, paths, pydantic models)."""
    return sha256_text(json.dumps(_plain(inputs), sort_keys=True, separators=(",", ":"), allow_nan=False))


def show(summary: Mapping[str, Any]) -> None:
    """Print ``summary`` as aligned plain text, one line a figure; the fingerprint is left out."""
    rows = list(_rows(summary))
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name:<{width}}  {value}".rstrip())


def _rows(summary: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, str]]:
    for name, value in summary.items():
        if name == "fingerprint":
            continue
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}", ""
            yield from _rows(value, indent + "  ")
        elif isinstance(value, list | tuple) and len(_text(value)) > WIDEST:
            first, *others = _items(value)
            yield indent + name, first
            yield from (("", item) for item in others)
        else:
            yield f"{indent}{name}", _text(value)


def _items(values: Sequence[Any]) -> list[str]:
    more = [f"… ({len(values)} in all)"] if len(values) > LONGEST_LIST else []
    return [*map(_text, values[:LONGEST_LIST]), *more]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, Mapping | list | tuple) and not value):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(_items(value))
    return " ".join(str(value).split())


def _plain(value: Any) -> Any:
    """``value`` as JSON can hold it: paths as text, models and tuples unfolded."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
