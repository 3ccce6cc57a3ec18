"""What a ranking leaves: the two files, their metadata, and the figures of the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tastemaker.rank.bradley_terry import BradleyTerry
from tastemaker.rank.calibrate import as_json
from tastemaker.rank.choose import best_first
from tastemaker.rank.drop import CUT, REASONS, STAYS
from tastemaker.rank.judge import CONSTRUCTED, ORIGINS, SWAPPED, TIED, Judged, Scored
from tastemaker.rank.pairs import DISCARDED, NAME, SCHEMA, write_pairs
from tastemaker.rank.prompts import distribution
from tastemaker.rank.settings import Ranking
from tastemaker.rank.threshold import knee
from tastemaker.rank.weigh import Weighed

ALWAYS = ("cut", "tie", "unscored")
"""Reasons that are counted in every summary; the others where they occur."""
PLAIN = ("quality", None)


@dataclass(frozen=True)
class Ranked:
    """What became of n pairs."""

    judged: Judged
    weighed: Weighed
    kept: np.ndarray
    """Rows in training order."""
    reason: np.ndarray
    """int8 [n]: places in `drop.REASONS`, `STAYS` for the kept"""
    model: BradleyTerry | None = None
    labels: Mapping[str, Any] | None = None
    """How well the model foretells what people said (`weigh.against_labels`)."""


def settings(panel: Sequence[Scored], how: Ranking, ranked: Ranked) -> dict[str, Any]:
    """For metadata and summary: scorers and calibrations (of one alone, or by id), and what was asked for."""
    ids = [one.scores.scorer for one in panel]
    calibrations = [as_json(one.psi) for one in panel]
    one = len(panel) == 1
    found = {
        "scorer": ids[0] if one else ids,
        "calibration": calibrations[0] if one else dict(zip(ids, calibrations, strict=True)),
        **({} if one else {"weights": {name: scored.weight for name, scored in zip(ids, panel, strict=True)}}),
        **how.as_json(),
    }
    return found | ({"bradley_terry": ranked.model.as_json()} if ranked.model else {})


def spread(panel: Sequence[Scored]) -> dict[str, Any]:
    """What the calibrations made of the distinct (image, prompt): of one scorer alone, or by id."""
    found = {one.scores.scorer: _spread(one) for one in panel}
    return found[panel[0].scores.scorer] if len(panel) == 1 else {"scores": found}


def _spread(one: Scored) -> dict[str, Any]:
    values = one.psi(one.scores.raw)
    clipped = one.psi.clipped(one.scores.raw)
    return {"psi_mean": float(values.mean()), "psi_std": float(values.std()), "clipped": clipped}


def write(out: Path, ranked: Ranked, how: Ranking, described: Mapping[str, Any]) -> dict[str, Any]:
    """Write both files; returns the counts and figures of the summary."""
    kept, others = ranked.kept, _others(ranked)
    cut = {"cut": how.cut.as_json(), **_at_cut(ranked, how)}
    reason = pa.array(np.array(REASONS)[ranked.reason[others]], pa.string())
    write_pairs(out / DISCARDED, rows(ranked, others, how).append_column("reason", reason), {**described, **cut})
    write_pairs(out / NAME, rows(ranked, kept, how), {**described, **cut})
    return _counts(ranked, how)


def rows(ranked: Ranked, which: np.ndarray, how: Ranking) -> pa.Table:
    """Rows of `SCHEMA` of the pairs ``which``, and the columns that the choices bring with them."""
    judged, weighed, coded = ranked.judged, ranked.weighed, ranked.judged.coded
    columns = {"pair_id": judged.pair_id.take(pa.array(which))}
    columns |= {name: coded.table[name].take(pa.array(judged.row[which])) for name in ("prompt", "prompt_sha")}
    columns |= {side: _shas(coded.images, judged.image[place, which]) for place, side in enumerate(("winner", "loser"))}
    numbers = {"strength": judged.strength, "psi_winner": weighed.psi[0], "psi_loser": weighed.psi[1]}
    numbers |= {"quality": weighed.quality, **_more_numbers(ranked, how)}
    columns |= {name: pa.array(values[which], pa.float32(), from_pandas=True) for name, values in numbers.items()}
    if how.changes_labels:
        columns["origin"] = pa.array(np.array(ORIGINS)[judged.origin[which]], pa.string())
    return pa.table(columns).select([*SCHEMA.names, *(name for name in columns if name not in SCHEMA.names)])


def _more_numbers(ranked: Ranked, how: Ranking) -> dict[str, np.ndarray]:
    """``worth`` where it is not Q, ``right`` where the probability was asked for."""
    plain = (how.worth.by, how.ensemble.combine) == PLAIN
    worth = {} if plain else {"worth": ranked.weighed.worth}
    return worth if ranked.weighed.right is None else worth | {"right": ranked.weighed.right}


def _shas(images: pa.Array, codes: np.ndarray) -> pa.Array:
    return images.take(pa.array(codes, mask=codes < 0))


def _others(ranked: Ranked) -> np.ndarray:
    """What is not kept: by reason, in the order of `REASONS`; best first, and by pair id what has no worth."""
    left = np.flatnonzero(ranked.reason >= 0)
    worth = np.nan_to_num(ranked.weighed.worth[left])
    left = left[best_first(worth, ranked.judged.pair_id.take(pa.array(left)))]
    return left[np.argsort(ranked.reason[left], kind="stable")]


def _at_cut(ranked: Ranked, how: Ranking) -> dict[str, float]:
    """The lowest Q that is kept, and the lowest worth where that is something else."""
    found = {"quality_at_cut": float(ranked.weighed.quality[ranked.kept].min())}
    if "worth" in _more_numbers(ranked, how):
        found["worth_at_cut"] = float(ranked.weighed.worth[ranked.kept].min())
    return found


def _counts(ranked: Ranked, how: Ranking) -> dict[str, Any]:
    judged, kept = ranked.judged, ranked.kept
    by_reason = np.bincount(ranked.reason[ranked.reason >= 0], minlength=len(REASONS)).tolist()
    dropped = {name: n for name, n in zip(REASONS, by_reason, strict=True) if n or name in ALWAYS}
    counts = {"kept": len(kept), "discarded": dropped, **_at_cut(ranked, how), **_chosen(ranked, how)}
    prompts = {"kept": distribution(judged.prompt[kept]), "all": distribution(judged.prompt)}
    if not judged.singles:
        return {"pairs": len(judged), **counts, "share_loser_above_winner": _share_reversed(ranked), "prompts": prompts}
    liked = judged.image[0] >= 0
    verdicts = {"images": len(liked), "liked": int(liked.sum()), "kept_liked": int(liked[kept].sum())}
    return {**verdicts, **counts, "share_disliked_above_liked": _share_misplaced(ranked, liked), "prompts": prompts}


def _chosen(ranked: Ranked, how: Ranking) -> dict[str, Any]:
    """Figures of the choices that were made."""
    weighed, facts = ranked.weighed, dict[str, Any]()
    if how.changes_labels:
        facts["origins"] = {"all": _origins(ranked, slice(None)), "kept": _origins(ranked, ranked.kept)}
    if weighed.records is not None:
        facts["compared"] = weighed.records.as_json()
    if ranked.model is not None and weighed.right is not None:
        facts["expected_wrong_rate"] = _expected(ranked, weighed.right)
        facts["expected_disagreement"] = _expected(ranked, ranked.model.likely(weighed.right))
        facts["labels"] = ranked.labels
    if how.cut.threshold:
        facts["knee"] = knee(np.sort(weighed.worth[np.isin(ranked.reason, (STAYS, CUT))])[::-1]).as_json()
    return facts


def _expected(ranked: Ranked, right: np.ndarray) -> dict[str, float]:
    """Mean of 1 − ``right`` [n]; sorted before it is summed, so that the rows' order does not matter."""
    parts = {"kept": ranked.kept, "all": ranked.judged.rankable}
    return {name: float(1 - np.sort(right[which]).mean()) for name, which in parts.items()}


def _origins(ranked: Ranked, which: Any) -> dict[str, int]:
    counts = np.bincount(ranked.judged.origin[which], minlength=len(ORIGINS)).tolist()
    return {name: n for name, n in zip(ORIGINS, counts, strict=True) if n}


def _share_reversed(ranked: Ranked) -> float:
    """Share of the pairs whose loser, by what people said, has the higher ψ: where people and scorer disagree."""
    judged = ranked.judged
    said = judged.scored & (~judged.tie | (judged.origin == TIED)) & (judged.origin != CONSTRUCTED)
    psi, turned = ranked.weighed.psi[:, said].astype(np.float32), judged.origin[said] == SWAPPED
    return float(np.mean(np.where(turned, psi[0] > psi[1], psi[0] < psi[1])))


def _share_misplaced(ranked: Ranked, liked: np.ndarray) -> float | None:
    """Share of all (liked, disliked) whose disliked image has the higher ψ, ties counted ½; None without both.

    One less the area under the ROC curve (Mann & Whitney 1947): the single images' counterpart of `_share_reversed`.
    """
    rankable, psi = ranked.judged.rankable, ranked.weighed.psi.astype(np.float32)
    good, bad = np.sort(psi[0][rankable & liked]), psi[1][rankable & ~liked]
    if not len(good) or not len(bad):
        return None
    below = (np.searchsorted(good, bad, "left") + np.searchsorted(good, bad, "right")) / 2
    return float(below.mean() / len(good))
