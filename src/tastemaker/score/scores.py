"""The scores of one data folder by one scorer: `DATA/scores/<scorer id>/scores.parquet`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, read_json, sha256_text

FOLDER = "scores"
NAME = "scores.parquet"
SCHEMA = pa.schema([("sha", pa.string()), ("prompt_sha", pa.string()), ("raw", pa.float32())])
Key = tuple[str, str]


@dataclass(frozen=True)
class Scores:
    """Raw scores by (image sha, prompt sha), sorted by it; ``scores[sha, prompt_sha]`` is one of them."""

    scorer: str
    calibration: str
    sha: pa.Array
    prompt_sha: pa.Array
    raw: np.ndarray
    """float32 [n]"""

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, key: Key) -> float:
        return float(self.raw[self._row_of[key]])

    def __contains__(self, key: Key) -> bool:
        return key in self._row_of

    def find(self, sha: pa.Array, prompt_sha: pa.Array) -> np.ndarray:
        """Raw scores, float64 [m], of m (image, prompt); NaN where there is none."""
        if not len(self):
            return np.full(len(sha), np.nan)
        images, prompts, mine = self._index
        asked = _joined(place(sha, images), place(prompt_sha, prompts), len(prompts))
        row = np.searchsorted(mine, asked).clip(max=len(mine) - 1)
        return np.where(mine[row] == asked, self.raw[row].astype(np.float64), np.nan)

    @cached_property
    def _index(self) -> tuple[pa.Array, pa.Array, np.ndarray]:
        """Distinct images, distinct prompts, and each row's place among them as one rising int64."""
        first = _first_of_runs(self.sha)
        images, prompts = self.sha.filter(pa.array(first)), pc.unique(self.prompt_sha).sort()
        return images, prompts, _joined(np.cumsum(first) - 1, place(self.prompt_sha, prompts), len(prompts))

    @cached_property
    def _row_of(self) -> dict[Key, int]:
        keys = zip(self.sha.to_pylist(), self.prompt_sha.to_pylist(), strict=True)
        return {key: row for row, key in enumerate(keys)}


def scores_folder(data: Path, scorer_id: str) -> Path:
    """Where the scores of ``scorer_id`` live."""
    return data / FOLDER / slug(scorer_id)


def slug(scorer_id: str) -> str:
    """``scorer_id`` as a file name; one with other characters than letters, digits and ``@._+-`` gets a hash."""
    safe = re.sub(r"[^A-Za-z0-9@._+-]", "_", scorer_id).lstrip(".")[:100]
    return safe if safe == scorer_id else f"{safe}-{sha256_text(scorer_id)[:8]}"


def scored_by(data: Path) -> list[str]:
    """Ids of the scorers that have scored ``data`` to the end."""
    return sorted(read_json(path.parent / "summary.json")["scorer"] for path in (data / FOLDER).glob(f"*/{NAME}"))


def find_scorer(data: Path, name: str, spec: str | None = None) -> str:
    """The id behind an id or a bare name among those that have scored ``data``.

    Raises `UserError` with the command that makes the scores; ``spec`` is what that command calls the scorer, where
    it has options.
    """
    known = scored_by(data)
    matches = [scorer for scorer in known if name in (scorer, scorer.partition("@")[0])]
    if name in matches or len(matches) == 1:
        return name if name in matches else matches[0]
    if matches:
        raise UserError(f"{data}: '{name}' may be {' or '.join(matches)}; say which with --scorer")
    unfinished = scores_folder(data, name).exists()
    so_far = "has not finished here" if unfinished else f"has not scored here (done: {', '.join(known) or 'none'})"
    spec = spec or name.partition("@")[0]
    raise UserError(f"{data}: '{name}' {so_far}; run: tastemaker score {data} --scorer {spec}")


def read_scores(data: Path, scorer_id: str) -> Scores:
    """The finished scores of ``scorer_id`` (an id, or a name that only one scorer here has)."""
    path = scores_folder(data, find_scorer(data, scorer_id)) / NAME
    try:
        table = pq.read_table(path).combine_chunks()
        known = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        sha, prompt_sha, raw = (table[name].combine_chunks() for name in SCHEMA.names)
        return Scores(known["scorer"], known["calibration"], sha, prompt_sha, raw.to_numpy(zero_copy_only=False))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{path}: not readable as scores ({error}); remove its folder and score again") from None


def write_scores(path: Path, scorer_id: str, calibration: str, table: pa.Table) -> None:
    """Write rows of `SCHEMA` durably, sorted by key, so that equal scores are equal bytes."""
    table = table.select(SCHEMA.names).sort_by([("sha", "ascending"), ("prompt_sha", "ascending")])
    table = table.cast(SCHEMA).replace_schema_metadata({"scorer": scorer_id, "calibration": calibration})
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary)


def write_quarantine(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write the rows that could not be scored, one JSON object a line; no file when there are none."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _joined(image: np.ndarray, prompt: np.ndarray, prompts: int) -> np.ndarray:
    """One int64 for each (image, prompt); -1 where either is not among the known ones."""
    return np.where((image < 0) | (prompt < 0), -1, image * prompts + prompt)


def place(values: pa.Array | pa.ChunkedArray, known: pa.Array) -> np.ndarray:
    """int64 [n]: where each value stands among the known ones, or -1."""
    return np.asarray(pc.fill_null(pc.index_in(values, value_set=known), -1)).astype(np.int64)


def _first_of_runs(values: pa.Array) -> np.ndarray:
    """bool [n]: where another value begins, of sorted values; much faster than to look each of them up."""
    return np.concatenate([[True], np.asarray(pc.not_equal(values[1:], values[:-1]))])
