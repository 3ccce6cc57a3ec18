"""From comparisons and scores to ordered pairs: calibrate, orient, weigh, leave out, choose, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tastemaker.base.errors import UserError
from tastemaker.base.files import clear_temporaries, locked, sha256_file
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.data.store import read_columns
from tastemaker.rank import outcome
from tastemaker.rank.calibrate import fit
from tastemaker.rank.choose import Cut, best_first, choose
from tastemaker.rank.construct import construct
from tastemaker.rank.drop import CAP, CUT, DUPLICATE, STAYS, duplicate, reasons
from tastemaker.rank.ensemble import blend
from tastemaker.rank.judge import Judged, Scored, judge
from tastemaker.rank.kinds import Kind, select
from tastemaker.rank.outcome import Ranked
from tastemaker.rank.pairs import Pair, read_pairs, read_settings
from tastemaker.rank.prompts import in_turn, over
from tastemaker.rank.relabel import relabel
from tastemaker.rank.settings import Ranking
from tastemaker.rank.weigh import Weighed, against_labels, fitted, weigh
from tastemaker.score.scores import NAME as SCORES
from tastemaker.score.scores import find_scorer, read_scores, scores_folder
from tastemaker.score.work import comparisons_sha

__all__ = ["Cut", "Pair", "Ranking", "rank", "read_pairs", "read_settings"]

NEEDED = ("pair_id", "prompt", "prompt_sha", "image_a", "image_b", "label")
IF_THERE = ("share",)
"""Columns that data imported by an earlier version do not have."""

Duplicates = Callable[[Judged, np.ndarray], np.ndarray]
"""Which of the pairs (rows of the judged, best first) are near-duplicates: bool."""


def rank(
    data: Path,
    scorer: str | Sequence[str],
    out: Path,
    how: Ranking | Cut | None = None,
    *,
    calibration: str | None = None,
    only: Kind | None = None,
) -> dict[str, Any]:
    """Order the pairs of ``data`` by their worth under ``scorer``, cut, and write them to ``out``; returns the summary.

    ``scorer`` is an id or name that has scored ``data``, or several; ``how`` says all the rest (a `Cut` alone is a
    `Ranking` by Q); ``calibration`` (`rank.calibrate`) is each scorer's own unless given; ``only`` (`rank.kinds`) says
    what to take of data that hold pairs and single images. The result does not depend on the order of the comparisons,
    nor on which image stands first. Raises `UserError` when scores are missing, with the command that makes them, for
    mixed data without ``only``, and for choices that do not go together.
    """
    started = time.monotonic()
    how = how if isinstance(how, Ranking) else Ranking(cut=how or Cut())
    scorers = [find_scorer(data, name) for name in ([scorer] if isinstance(scorer, str) else scorer)]
    weights = _weights(scorers, how)
    mark = _fingerprint(data, scorers, how, calibration, only)
    with locked(out):
        clear_temporaries(out)
        summary = finished(out, mark)
        if summary is not None:
            return summary
        panel = [_scored(data, *one, calibration) for one in zip(scorers, weights, strict=True)]
        comparisons = read_columns(data, NEEDED, IF_THERE)
        chosen = select(comparisons, only)
        ranked = order(chosen, panel, how, partial(_duplicates, data, how))
        settings = outcome.settings(panel, how, ranked)
        facts = {"only": only, "others": len(comparisons) - len(chosen)} if only else {}
        facts |= outcome.write(out, ranked, how, settings)
        return finish(out, "rank", started, **settings, **facts, **outcome.spread(panel), fingerprint=mark)


def order(comparisons: pa.Table, panel: Sequence[Scored], how: Ranking, duplicates: Duplicates) -> Ranked:
    """All of ranking but the files: which comparisons are kept, in which order, and why not.

    ``comparisons`` has the columns `NEEDED`, and `IF_THERE`.
    """
    weights = [one.weight for one in panel]
    judged = judge(comparisons, panel)
    how.check(len(panel), judged.singles)
    model = fitted(judged, how)
    labels = None if model is None else against_labels(judged, model)
    if how.relabel.to:
        judged = relabel(judged, how.relabel)
    if how.construct.most:
        judged = construct(judged, how.construct, panel, partial(blend, weights=weights, combine=how.ensemble.combine))
    weighed = weigh(judged, weights, how, model)
    return replace(_select(judged, weighed, how, duplicates), model=model, labels=labels)


def _select(judged: Judged, weighed: Weighed, how: Ranking, duplicates: Duplicates) -> Ranked:
    """Best first, without near-duplicates and what is too much of one prompt, in turn if asked for, and cut."""
    reason = reasons(judged, weighed.worth, how.drop)
    rows = np.flatnonzero(reason == STAYS)
    rows = rows[best_first(weighed.worth[rows], judged.pair_id.take(pa.array(rows)))]
    if how.drop.near_duplicates is not None and len(rows):
        rows = _without(rows, duplicates(judged, rows), reason, DUPLICATE)
    if how.spread.per_prompt is not None:
        rows = _without(rows, over(judged.prompt[rows], how.spread.per_prompt), reason, CAP)
    if how.spread.diverse:
        rows = rows[in_turn(judged.prompt[rows])]
    wrong = None if weighed.right is None else 1 - weighed.right[rows]
    ids = judged.pair_id.take(pa.array(rows))
    numbers = {"quality": weighed.quality[rows], "wrong": wrong, "best": np.arange(len(rows))}
    kept, left = choose(weighed.worth[rows], ids, how.cut, **numbers)
    reason[rows[left]] = CUT
    return Ranked(judged, weighed, rows[kept], reason)


def _without(rows: np.ndarray, drop: np.ndarray, reason: np.ndarray, why: int) -> np.ndarray:
    reason[rows[drop]] = why
    return rows[~drop]


def _duplicates(data: Path, how: Ranking, judged: Judged, best: np.ndarray) -> np.ndarray:
    assert how.drop.near_duplicates is not None
    return duplicate(judged, best, how.drop.near_duplicates, data)


def _scored(data: Path, scorer: str, weight: float, calibration: str | None) -> Scored:
    scores = read_scores(data, scorer)
    return Scored(scores, fit(calibration or scores.calibration, scores.raw), weight)


def _weights(scorers: Sequence[str], how: Ranking) -> list[float]:
    if twice := [scorer for scorer in scorers if scorers.count(scorer) > 1]:
        raise UserError(f"--scorer {twice[0]}: is given twice; name each scorer once")
    if not scorers:
        raise UserError("--scorer: name at least one that has scored the data; see tastemaker rank --help")
    return how.ensemble.of(scorers)


def _fingerprint(data: Path, scorers: Sequence[str], how: Ranking, calibration: str | None, only: Kind | None) -> str:
    scores = [sha256_file(scores_folder(data, scorer) / SCORES) for scorer in scorers]
    return fingerprint(
        **({"only": only} if only else {}),
        **({"how": asked} if (asked := how.as_json()) else {}),
        comparisons=comparisons_sha(data),
        scores=scores[0] if len(scores) == 1 else scores,
        cut=how.cut.as_json(),
        calibration=calibration,
    )
