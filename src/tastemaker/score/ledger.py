"""From the shards of a run to what it leaves: which rows are done, the table of scores, the quarantine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.base.errors import UserError
from tastemaker.score.scorer import Scorer
from tastemaker.score.scores import NAME, write_quarantine, write_scores
from tastemaker.score.shards import read_shards
from tastemaker.score.work import Work

KEY = [("sha", "ascending"), ("prompt_sha", "ascending")]


def done_rows(folder: Path, work: Work, *, retry: bool = False) -> tuple[np.ndarray, bool]:
    """Which rows of ``work`` are in a shard, bool [n], and whether any row ever got a score.

    With ``retry`` a row that could not be scored does not count.
    """
    ledger = read_shards(folder)
    trusted = ledger["raw"].null_count < len(ledger)
    if retry:
        ledger = ledger.filter(pc.is_valid(ledger["raw"]))
    row = work.find(ledger["sha"], ledger["prompt_sha"]) if len(ledger) else np.empty(0, np.int64)
    done = np.zeros(len(work), bool)
    done[row[row >= 0]] = True
    return done, trusted


def collect(folder: Path, scorer: Scorer, work: Work) -> dict[str, Any]:
    """Write `scores.parquet` and `quarantine.jsonl`; returns the counts. Rows that are not asked for stay behind."""
    ledger = _each_once(read_shards(folder), work)
    scored, failed = ledger.filter(pc.is_valid(ledger["raw"])), ledger.filter(pc.is_null(ledger["raw"]))
    if not len(scored):
        raise UserError(f"{folder}: none of {len(work)} rows could be scored, the first: {failed['detail'][0].as_py()}")
    write_quarantine(folder / "quarantine.jsonl", failed.drop_columns("raw").sort_by(KEY).to_pylist())
    write_scores(folder / NAME, scorer.id, scorer.calibration, scored)
    return {
        "rows": len(work),
        "scored": len(scored),
        "quarantined": len(failed),
        "reasons": dict(sorted(Counter(failed["reason"].to_pylist()).items())),
        "raw_mean": pc.mean(scored["raw"]).as_py(),
        "raw_std": pc.stddev(scored["raw"]).as_py(),
        "raw_min": pc.min(scored["raw"]).as_py(),
        "raw_max": pc.max(scored["raw"]).as_py(),
    }


def _each_once(ledger: pa.Table, work: Work) -> pa.Table:
    """The rows of ``work``; of one that was tried again the score, if it got one."""
    place = work.find(ledger["sha"], ledger["prompt_sha"])
    ledger = ledger.append_column("place", pa.array(place)).filter(pa.array(place >= 0))
    failed = pc.cast(pc.is_null(ledger["raw"]), pa.int8())
    ledger = ledger.append_column("failed", failed)
    ledger = ledger.sort_by([("place", "ascending"), ("failed", "ascending"), ("detail", "ascending")])
    first = np.diff(np.asarray(ledger["place"]), prepend=-1) > 0
    return ledger.filter(pa.array(first)).drop_columns(["place", "failed"])
