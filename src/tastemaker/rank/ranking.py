"""From comparisons and scores to ordered pairs: calibrate, orient, weigh, choose, write."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tastemaker.base.errors import UserError
from tastemaker.base.files import clear_temporaries, locked, sha256_file
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.data.store import COMPARISONS
from tastemaker.rank.calibrate import Calibration, as_json, fit
from tastemaker.rank.choose import Cut, best_first, choose
from tastemaker.rank.kinds import Kind, select
from tastemaker.rank.pairs import DISCARDED, NAME, SCHEMA, Pair, read_pairs, read_settings, write_pairs
from tastemaker.rank.quality import quality
from tastemaker.score.scores import NAME as SCORES
from tastemaker.score.scores import Scores, find_scorer, read_scores, scores_folder
from tastemaker.score.work import comparisons_sha

__all__ = ["Cut", "Pair", "rank", "read_pairs", "read_settings"]

REASONS = ("cut", "tie", "unscored")


@dataclass(frozen=True)
class Judged:
    """n comparisons with a winner's and a loser's ψ; a tie has its two images in the order of their hashes.

    All are pairs, or all are images that were judged alone, with a winner (liked) or a loser.
    """

    table: pa.Table
    """Columns of `SCHEMA`; ``quality`` is null for ties and where a score is missing."""
    tie: np.ndarray
    """bool [n]"""
    quality: np.ndarray
    """float64 [n], NaN for ties and where a score is missing"""

    @property
    def rankable(self) -> np.ndarray:
        """bool [n]: has a winner and both scores."""
        ranked: np.ndarray = np.isfinite(self.quality)
        return ranked

    @property
    def singles(self) -> bool:
        """Whether these are single images."""
        return bool(self.table["winner"].null_count or self.table["loser"].null_count)


def rank(
    data: Path,
    scorer: str,
    out: Path,
    cut: Cut | None = None,
    *,
    calibration: str | None = None,
    only: Kind | None = None,
) -> dict[str, Any]:
    """Order the pairs of ``data`` by Q under ``scorer``, cut, and write them to ``out``; returns the summary.

    ``scorer`` is an id or name that has scored ``data``; ``calibration`` (`rank.calibrate`) is the scorer's own
    unless given; ``only`` (`rank.kinds`) says what to take of data that hold pairs and single images. The result does
    not depend on the order of the comparisons, nor on which image stands first. Raises `UserError` when the scores are
    missing, with the command that makes them, and for mixed data without ``only``.
    """
    started = time.monotonic()
    cut = cut or Cut()
    scorer = find_scorer(data, scorer)
    mark = _fingerprint(data, scorer, cut, calibration, only)
    with locked(out):
        clear_temporaries(out)
        summary = finished(out, mark)
        if summary is not None:
            return summary
        scores = read_scores(data, scorer)
        psi = fit(calibration or scores.calibration, scores.raw)
        settings = {"scorer": scorer, "calibration": as_json(psi)}
        comparisons = read_columns(data)
        judged = judge(select(comparisons, only), scores, psi)
        facts = {"only": only, "others": len(comparisons) - len(judged.table)} if only else {}
        facts |= _write(out, judged, cut, settings)
        return finish(out, "rank", started, **settings, **facts, **_spread(psi, scores), fingerprint=mark)


def judge(comparisons: pa.Table, scores: Scores, psi: Calibration) -> Judged:
    """Orient every comparison by its label and weigh it: ψ of both images, or of the one, and Q."""
    n = len(comparisons)
    label, image_a, image_b, prompt = (comparisons[name] for name in ("label", "image_a", "image_b", "prompt_sha"))
    tie = np.asarray(pc.equal(label, "tie"))
    better = pc.is_in(label, pa.array(["a", "liked"]))
    a_first = pc.if_else(pc.equal(label, "tie"), pc.less_equal(image_a, image_b), better)
    winner, loser = pc.if_else(a_first, image_a, image_b), pc.if_else(a_first, image_b, image_a)
    both = psi(scores.find(_joined(winner, loser), _joined(prompt, prompt)))  # one look-up for both is much faster
    psi_w, psi_l = both[:n], both[n:]
    agreement = quality(_where_missing(winner, psi_w, 1.0), _where_missing(loser, psi_l, 0.0))
    q = np.where(tie, np.nan, agreement)
    numbers = {"strength": np.where(tie, 0.0, 1.0), "psi_winner": psi_w, "psi_loser": psi_l, "quality": q}
    columns = {name: comparisons[name] for name in ("pair_id", "prompt", "prompt_sha")}
    columns |= {"winner": winner, "loser": loser}
    columns |= {name: pa.array(values, pa.float32(), from_pandas=True) for name, values in numbers.items()}
    return Judged(pa.table(columns).select(SCHEMA.names), tie, q)


def _where_missing(image: pa.ChunkedArray, psi: np.ndarray, value: float) -> np.ndarray:
    """ψ, or ``value`` where there is no image; where there is one without a score ψ stays NaN."""
    return np.where(np.asarray(image.is_null()), value, psi)


def _joined(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([*first.chunks, *second.chunks], first.type)


def _spread(psi: Calibration, scores: Scores) -> dict[str, Any]:
    """What the calibration made of the distinct (image, prompt)."""
    values = psi(scores.raw)
    return {"psi_mean": float(values.mean()), "psi_std": float(values.std()), "clipped": psi.clipped(scores.raw)}


def read_columns(data: Path) -> pa.Table:
    """The comparisons as a table: a million of them are ranked column by column, not one by one."""
    path = data / COMPARISONS
    try:
        return pq.read_table(path, columns=["pair_id", "prompt", "prompt_sha", "image_a", "image_b", "label"])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not readable as comparisons ({error}); import again into another folder") from None


def _write(out: Path, judged: Judged, cut: Cut, settings: dict[str, Any]) -> dict[str, Any]:
    """Write both files; returns the counts and figures of the summary."""
    ranked = np.flatnonzero(judged.rankable)
    kept, left = (ranked[part] for part in choose(judged.quality[ranked], judged.table["pair_id"].take(ranked), cut))
    discarded = _discarded(judged, left)
    lowest = float(judged.quality[kept].min())
    settings = settings | {"cut": asdict(cut), "quality_at_cut": lowest}
    write_pairs(out / DISCARDED, discarded, settings)
    write_pairs(out / NAME, judged.table.take(kept), settings)
    reasons = Counter(discarded["reason"].to_pylist())
    counts = {"kept": len(kept), "discarded": {reason: reasons[reason] for reason in REASONS}, "quality_at_cut": lowest}
    if not judged.singles:
        return {"pairs": len(judged.table), **counts, "share_loser_above_winner": _share_reversed(judged)}
    liked = np.asarray(judged.table["winner"].is_valid())
    verdicts = {"images": len(liked), "liked": int(liked.sum()), "kept_liked": int(liked[kept].sum())}
    return {**verdicts, **counts, "share_disliked_above_liked": _share_misplaced(judged, liked)}


def _discarded(judged: Judged, left: np.ndarray) -> pa.Table:
    """The pairs below the cut, best first; then those without a score and the ties, by pair id."""
    others = np.flatnonzero(~judged.rankable)
    names = judged.table["pair_id"].take(others)
    others = others[best_first(np.where(judged.tie[others], 0.0, 1.0), names)]
    reason = ["cut"] * len(left) + np.where(judged.tie[others], "tie", "unscored").tolist()
    return judged.table.take(np.concatenate([left, others])).append_column("reason", pa.array(reason, pa.string()))


def _share_reversed(judged: Judged) -> float:
    """Share of the rankable pairs whose loser has the higher ψ: where people and scorer disagree."""
    rankable = judged.table.select(["psi_winner", "psi_loser"]).filter(judged.rankable)
    return float(np.mean(np.asarray(rankable["psi_winner"]) < np.asarray(rankable["psi_loser"])))


def _share_misplaced(judged: Judged, liked: np.ndarray) -> float | None:
    """Share of all (liked, disliked) whose disliked image has the higher ψ, ties counted ½; None without both.

    One less the area under the ROC curve (Mann & Whitney 1947): the single images' counterpart of `_share_reversed`.
    """
    good = np.sort(np.asarray(judged.table["psi_winner"])[judged.rankable & liked])
    bad = np.asarray(judged.table["psi_loser"])[judged.rankable & ~liked]
    if not len(good) or not len(bad):
        return None
    below = (np.searchsorted(good, bad, "left") + np.searchsorted(good, bad, "right")) / 2
    return float(below.mean() / len(good))


def _fingerprint(data: Path, scorer: str, cut: Cut, calibration: str | None, only: Kind | None) -> str:
    kind = {"only": only} if only else {}
    return fingerprint(
        **kind,
        comparisons=comparisons_sha(data),
        scores=sha256_file(scores_folder(data, scorer) / SCORES),
        cut=asdict(cut),
        calibration=calibration,
    )
