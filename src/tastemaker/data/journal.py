"""What an import knows so far, on disk: so it can be stopped anywhere, and its memory does not grow with the data.

One SQLite file beside the store, removed at the end. It is committed exactly when an image shard has become visible,
so a stopped import goes on after the last whole shard.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_text
from tastemaker.data.comparison import OPPOSITE, Comparison, Label
from tastemaker.data.images import ImageProblem
from tastemaker.data.readers.row import Place, Problem
from tastemaker.data.store import FIELDS

NAME = ".import.sqlite"
CACHE_KILOBYTES = 64 << 10
_TABLES = f"""
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS image (sha TEXT PRIMARY KEY, reason TEXT, detail TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS judgement (
  pair TEXT, verdict TEXT, poll TEXT, judge TEXT, swapped INTEGER, place TEXT,
  PRIMARY KEY (pair, verdict, poll, judge)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS comparison ({", ".join(FIELDS)});
CREATE TABLE IF NOT EXISTS quarantine (line BLOB);
"""


class Earlier(NamedTuple):
    """What earlier rows said of the same prompt and the same image, or the same two images in either order."""

    repeats: str  # the row with the same verdict of the same judge (and the same share and votes), or ""
    swapped: bool  # whether that row had the images in the other order
    confirmed: bool  # another judge has said the same
    contradicted: bool  # somebody has named the other image, or said the opposite of this one


class Journal:
    """The state of an import into ``data``; use it in a `with` block and under the folder's lock.

    Raises `UserError` when the folder holds an unfinished import with another ``key``, and for a full disk.
    """

    def __init__(self, data: Path, key: str) -> None:
        self.path = data / NAME
        self._database = sqlite3.connect(self.path, isolation_level=None)
        with self._errors():
            self._database.executescript(f"PRAGMA cache_size = -{CACHE_KILOBYTES}; {_TABLES}")
            self._database.execute("INSERT OR IGNORE INTO state VALUES ('key', ?)", (key,))
            self._database.execute("BEGIN")
            state = dict(self._database.execute("SELECT name, value FROM state"))
        if state["key"] != key:
            self.close()
            raise UserError(f"{data}: holds an unfinished import of other inputs; choose another --out or remove it")
        self.place = Place(*json.loads(state.get("place", "[0, 0]")))
        self.shards = int(state.get("shards", "0"))
        self.counts: Counter[str] = Counter(json.loads(state.get("counts", "{}")))

    def commit(self, place: Place, shards: int) -> None:
        """Keep everything so far: ``shards`` are visible, and the import goes on at ``place``."""
        self.place, self.shards = place, shards
        state = {"place": json.dumps(place), "shards": str(shards), "counts": json.dumps(self.counts)}
        with self._errors():
            self._database.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", state.items())
            self._database.execute("COMMIT")
            self._database.execute("BEGIN")

    def image(self, sha: str) -> ImageProblem | bool:
        """Whether an image is in the store, or why it is not and never will be."""
        found = self._one("SELECT reason, detail FROM image WHERE sha = ?", sha)
        return ImageProblem(str(found[0]), str(found[1])) if found and found[0] else found is not None

    def add_image(self, sha: str, problem: ImageProblem | None = None) -> None:
        """Remember that an image has been stored, or that it cannot be."""
        reason, detail = (problem.reason, problem.detail) if problem else (None, None)
        self._run("INSERT INTO image VALUES (?, ?, ?)", sha, reason, detail)

    def earlier(self, comparison: Comparison) -> Earlier:
        """What earlier rows said of the same question."""
        pair, verdict, poll, swapped = _canonical(comparison)
        same = self._one(
            "SELECT place, swapped FROM judgement WHERE pair = ? AND verdict = ? AND poll = ? AND judge = ?",
            *(pair, verdict, poll, comparison.judge),
        )
        said = "SELECT 1 FROM judgement WHERE pair = ? AND verdict = ? LIMIT 1"
        opposite = OPPOSITE.get(verdict)
        return Earlier(
            repeats=same[0] if same else "",
            swapped=bool(same and same[1] != swapped),
            confirmed=not same and self._one(said, pair, verdict) is not None,
            contradicted=opposite is not None and self._one(said, pair, opposite) is not None,
        )

    def add_comparison(self, comparison: Comparison, place: str) -> None:
        """Keep a judgement; ``place`` names its row for people."""
        pair, verdict, poll, swapped = _canonical(comparison)
        judgement = (pair, verdict, poll, comparison.judge, swapped, place)
        self._run(f"INSERT INTO judgement VALUES ({', '.join('?' * len(judgement))})", *judgement)
        marks = ", ".join("?" * len(FIELDS))
        self._run(f"INSERT INTO comparison VALUES ({marks})", *(getattr(comparison, name) for name in FIELDS))

    def add_quarantine(self, source: str, row: int, problem: Problem) -> None:
        """Keep a problem, as a line of `quarantine.jsonl`."""
        line = json.dumps({"source": source, "row": row, **problem._asdict()}, ensure_ascii=False)
        self._run("INSERT INTO quarantine VALUES (?)", line.encode("utf-8", "backslashreplace"))
        self.counts[f"quarantine {problem.reason}"] += 1

    def comparisons(self) -> Iterator[Comparison]:
        """Everything kept, in the order of the source."""
        with self._errors():
            for row in self._database.execute("SELECT * FROM comparison ORDER BY rowid"):
                yield Comparison(*row)

    def quarantine(self) -> Iterator[bytes]:
        """The lines of `quarantine.jsonl`."""
        with self._errors():
            yield from (row[0] + b"\n" for row in self._database.execute("SELECT line FROM quarantine ORDER BY rowid"))

    def distinct(self, field: str) -> int:
        """How many values a column of the comparisons has."""
        found = self._one(f"SELECT COUNT(DISTINCT {field}) FROM comparison")
        return int(found[0]) if found else 0

    def close(self) -> None:
        """Close the file; what is not committed is forgotten."""
        self._database.close()

    def remove(self) -> None:
        """The import is done: the journal goes."""
        self.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with self._errors():
            found: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
            return found

    def _run(self, query: str, *values: object) -> None:
        with self._errors():
            self._database.execute(query, values)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UserError(f"{self.path}: cannot be written ({error}); free some space") from None
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path}: damaged ({error}); remove {self.path.parent} and import again") from None


def _canonical(comparison: Comparison) -> tuple[str, Label, str, bool]:
    """The question, verdict and poll with the images in the order of their shas, and whether they had to be swapped.

    Two polls of one question with other numbers are two judgements; ``poll`` is empty where nothing was counted.
    """
    swapped = comparison.image_b is not None and comparison.image_a > comparison.image_b
    ordered = comparison.swap() if swapped else comparison
    question = sha256_text(f"{ordered.image_a} {ordered.image_b or ''} {ordered.prompt}")
    poll = "" if ordered.share is None else f"{ordered.share!r} {ordered.votes}"
    return question, ordered.label, poll, swapped
