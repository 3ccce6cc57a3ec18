"""Every distinct (image, prompt) of a data folder scored once: sharded, resumable, bad rows set aside."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.base.errors import UserError
from tastemaker.base.files import clear_temporaries, locked, read_json
from tastemaker.base.progress import bar
from tastemaker.base.summary import fingerprint, finish
from tastemaker.data.store import ImageStore
from tastemaker.score.batches import score_batch
from tastemaker.score.judging import judge
from tastemaker.score.scorer import Scorer
from tastemaker.score.scores import (
    NAME,
    Key,
    Scores,
    find_scorer,
    read_scores,
    scores_folder,
    write_quarantine,
    write_scores,
)
from tastemaker.score.shards import Row, read_shards, write_shard
from tastemaker.score.work import Work, comparisons_sha, keys, shards, wanted, without

__all__ = ["Scores", "find_scorer", "read_scores", "score", "score_batch"]


def score(data: Path, scorer: Scorer, *, shard_rows: int = 1024, batch_size: int = 64) -> dict[str, Any]:
    """Score every distinct (image, prompt) of ``data`` into `data/scores/<scorer id>`; returns the summary.

    A run that was killed goes on where it stopped and repeats at most one shard of ``shard_rows`` rows; its
    `scores.parquet` is equal byte for byte to an uninterrupted run's. Further comparisons cost their own rows only.
    Rows that cannot be scored stand in `quarantine.jsonl` and are counted as ``quarantined``.
    """
    started = time.monotonic()
    _positive(shard_rows=shard_rows, batch_size=batch_size)
    mark = fingerprint(scorer=scorer.id, calibration=scorer.calibration, comparisons=comparisons_sha(data))
    folder = scores_folder(data, scorer.id)
    with locked(folder):
        clear_temporaries(folder)
        summary = _finished(folder, mark)
        if summary is not None:
            return summary
        work = wanted(data)
        reused = _score_missing(data, scorer, folder, work, shard_rows, batch_size)
        facts = _collect(folder, scorer, keys(work))
        return finish(
            folder, "score", started, scorer=scorer.id, images=len(work), **facts, reused=reused, fingerprint=mark
        )


def _score_missing(data: Path, scorer: Scorer, folder: Path, work: Work, shard_rows: int, batch_size: int) -> int:
    """Score what no shard holds yet; returns how many rows were there already."""
    ledger = read_shards(folder)
    missing = without(work, set(_keys(ledger)))
    trusted = ledger["raw"].null_count < len(ledger)
    total = sum(map(len, missing.values()))
    store = ImageStore(data)
    nothing: tuple[Row, ...] = ()
    with bar(nothing, f"scoring with {scorer.id}", total=total, unit="row") as progress:
        for shard in shards(missing, shard_rows):
            rows = judge(scorer, store, shard, batch_size, trusted=trusted, tick=progress.update)
            write_shard(folder, rows)
            trusted = trusted or any(row.raw is not None for row in rows)
    return sum(map(len, work.values())) - total


def _collect(folder: Path, scorer: Scorer, rows: set[Key]) -> dict[str, Any]:
    """From the shards to `scores.parquet` and `quarantine.jsonl`; rows that are not asked for any more stay behind."""
    ledger = read_shards(folder)
    ledger = ledger.filter(pa.array([key in rows for key in _keys(ledger)], pa.bool_()))
    scored, failed = ledger.filter(pc.is_valid(ledger["raw"])), ledger.filter(pc.is_null(ledger["raw"]))
    if not len(scored):
        raise UserError(f"{folder}: none of {len(rows)} rows could be scored, the first: {failed['detail'][0].as_py()}")
    failed = failed.drop_columns("raw").sort_by([("sha", "ascending"), ("prompt_sha", "ascending")])
    write_quarantine(folder / "quarantine.jsonl", failed.to_pylist())
    write_scores(folder / NAME, scorer.id, scorer.calibration, scored)
    return {
        "rows": len(rows),
        "scored": len(scored),
        "quarantined": len(failed),
        "reasons": dict(sorted(Counter(failed["reason"].to_pylist()).items())),
        "raw_mean": pc.mean(scored["raw"]).as_py(),
        "raw_std": pc.stddev(scored["raw"]).as_py(),
        "raw_min": pc.min(scored["raw"]).as_py(),
        "raw_max": pc.max(scored["raw"]).as_py(),
    }


def _finished(folder: Path, mark: str) -> dict[str, Any] | None:
    """The summary of a run over the same comparisons. Other comparisons are no mistake: their rows are added."""
    path = folder / "summary.json"
    if not path.exists() or not (folder / NAME).exists():
        return None
    summary: dict[str, Any] = read_json(path)
    return summary if summary.get("fingerprint") == mark else None


def _positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UserError(f"--{name.replace('_', '-')} {number}: must be at least 1")


def _keys(ledger: pa.Table) -> list[Key]:
    return list(zip(ledger["sha"].to_pylist(), ledger["prompt_sha"].to_pylist(), strict=True))
