"""`import`: whatever people bring → the store, with every problem counted and written down."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, clear_temporaries, locked
from tastemaker.base.progress import bar
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.data.intake import THREADS, Intake, windows
from tastemaker.data.journal import NAME as JOURNAL
from tastemaker.data.journal import Journal
from tastemaker.data.readers import Format, open_source
from tastemaker.data.readers.options import Question
from tastemaker.data.readers.row import Source
from tastemaker.data.store import COMPARISONS, IMAGES, ImageWriter, write_comparisons

QUARANTINE = "quarantine.jsonl"
COUNTED = (
    "rows", "pairs", "ties", "shares", "liked", "disliked", "quarantined", "confirmed", "contradicted", "images",
    "image_bytes",
)  # fmt: skip
RULES = 3  # raised whenever the same source would give other bytes, so that no import is resumed by other rules


def import_data(
    source: str,
    out: Path,
    *,
    format: Format = "auto",
    split: str | None = None,
    question: Question | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """Read judged pairs and images from ``source`` into the store ``out`` and return the summary.

    ``source`` is a file, a folder or a hub id (``owner/name``) in one of the formats of `readers.KINDS`; ``format``
    says which where that is not clear. ``split`` picks one split where a source has several (or several, by a
    pattern), ``question`` which answers count where people were asked several things, ``limit`` the first rows.
    Every row is either in `comparisons.parquet` or has its reasons in `quarantine.jsonl`. Peak memory does not grow
    with the source. Stopped at any point and called again, it goes on and ends with the same bytes.

    Raises `UserError` for a source that cannot be read, and when ``out`` holds something else.
    """
    started = time.monotonic()
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit}: at least one row is needed")
    opened = open_source(source, format, split, question)
    _apart(source, out)
    asked = {} if question is None else {"question": question}
    key = fingerprint(verb="import", rules=RULES, format=opened.format, source=opened.identity, limit=limit, **asked)
    with locked(out):
        if done := finished(out, key):
            (out / JOURNAL).unlink(missing_ok=True)
            return done
        _clean(out)
        with Journal(out, key) as journal:
            _read(opened, journal, out, limit)
            write_comparisons(out, journal.comparisons())
            _write_lines(out / QUARANTINE, journal.quarantine())
            facts = _facts(journal)
            summary = finish(out, "import", started, source=source, format=opened.format, **facts, fingerprint=key)
            journal.remove()
    return summary


def _apart(source: str, out: Path) -> None:
    if Path(source).is_dir() and out.resolve().is_relative_to(Path(source).resolve()):
        raise UserError(f"--out {out}: lies in the source {source}; choose a folder beside it")


def _clean(out: Path) -> None:
    """Remove what a killed import left half-written. Raises `UserError` for data that no import answers for."""
    if not (out / JOURNAL).exists() and ((out / COMPARISONS).exists() or (out / IMAGES).exists()):
        raise UserError(f"{out}: holds data without a summary.json; choose another --out or remove it")
    clear_temporaries(out)
    clear_temporaries(out / IMAGES)


def _read(source: Source, journal: Journal, out: Path, limit: int | None) -> None:
    """All rows of ``source`` into ``journal`` and image shards, from where an earlier run stopped.

    A shard that became visible after the journal's last commit is written again, the same as before.
    """
    done = journal.counts["rows"]
    rows = source.read(journal.place)
    wanted = source.rows if limit is None else min(limit, source.rows or limit)
    place = journal.place
    with ThreadPoolExecutor(THREADS) as pool, ImageWriter(out, journal.shards) as writer:
        intake = Intake(journal, writer, pool)
        shown = bar(islice(rows, limit and limit - done), "import", wanted and wanted - done, "row")
        for window in windows(shown):
            intake.take(window)
            place = window[-1].place.after
            if writer.full:
                writer.close_shard()
                journal.commit(place, writer.shards)
    journal.commit(place, writer.shards)


def _write_lines(path: Path, lines: Iterable[bytes]) -> None:
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        file.writelines(lines)


def _facts(journal: Journal) -> dict[str, Any]:
    """The summary's figures: rows = pairs + liked + disliked + quarantined."""
    counts = journal.counts
    return {
        **{name: counts[name] for name in COUNTED},
        "prompts": journal.distinct("prompt"),
        "judges": journal.distinct("judge"),
        "formats": dict(_group(counts, "format ")),
        "quarantine": dict(_group(counts, "quarantine ")),
        "notes": dict(_group(counts, "note ")),
    }


def _group(counts: dict[str, int], prefix: str) -> Iterator[tuple[str, int]]:
    return ((name.removeprefix(prefix), counts[name]) for name in sorted(counts) if name.startswith(prefix))
