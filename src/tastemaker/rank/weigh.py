"""The worth of every pair, by what was chosen in `worth`, `ensemble` and `bradley_terry`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tastemaker.base.errors import UserError
from tastemaker.rank.bradley_terry import BradleyTerry, fit
from tastemaker.rank.detect import reliability
from tastemaker.rank.ensemble import blend, mean_rank, pareto_order
from tastemaker.rank.judge import Judged
from tastemaker.rank.record import Records, records
from tastemaker.rank.settings import Ranking
from tastemaker.rank.worth import agreement, by_psi


@dataclass(frozen=True)
class Weighed:
    """n pairs' numbers, float64, NaN for ties and where a score is missing."""

    worth: np.ndarray
    """[n]: pairs are ordered by it; NaN for a spoilt record, too"""
    quality: np.ndarray
    """[n]: Q of the common ψ"""
    psi: np.ndarray
    """[2, n]: the common ψ of winners and losers"""
    right: np.ndarray | None = None
    """[n]: probability that the label is right, where it was asked for"""
    records: Records | None = None


def weigh(judged: Judged, weights: Sequence[float], how: Ranking, model: BradleyTerry | None = None) -> Weighed:
    """Worth and Q of ``judged`` under scorers of these weights; ``model`` as from `fitted`."""
    rankable = judged.rankable
    psi = blend(judged.filled, weights, how.ensemble.combine)
    quality = np.where(rankable, by_psi(psi, "quality"), np.nan)
    right = None if model is None else _spread(rankable, model.right(_margins(judged)[:, rankable]))
    kept_records = records(judged) if how.worth.by == "kto" else None
    worth = np.where(rankable, quality, np.nan)
    if kept_records is not None:
        worth = np.where(rankable & (kept_records.worth > 0), kept_records.worth, np.nan)
    elif how.worth.by == "bradley-terry" and right is not None:
        worth = right
    elif rankable.any():
        worth = _spread(rankable, _by_scores(judged, rankable, psi, weights, how))
    return Weighed(worth, quality, np.where(judged.image < 0, np.nan, psi), right, kept_records)


def _by_scores(
    judged: Judged, which: np.ndarray, psi: np.ndarray, weights: Sequence[float], how: Ranking
) -> np.ndarray:
    """Worth of the pairs ``which`` by ψ."""
    by, combine = how.worth.by, how.ensemble.combine
    if by == "agreement":
        return agreement(judged.psi[..., which], judged.raw[..., which])
    if combine not in ("rank", "pareto"):
        return by_psi(psi[:, which], by)
    each = np.array([by_psi(one[:, which], by) for one in judged.filled])
    return mean_rank(each, weights) if combine == "rank" else pareto_order(each, _needed(how, each.shape[1]))


def fitted(judged: Judged, how: Ranking) -> BradleyTerry | None:
    """The model of the labels as people gave them, or of the given temperature; None where nobody asks for it."""
    if not how.probable:
        return None
    if how.worth.temperature is not None:
        return BradleyTerry((1 / how.worth.temperature,))
    said = judged.rankable
    if not said.any():
        raise UserError("bradley-terry: no pair has a winner and all scores, so there is nothing to fit")
    return fit(_margins(judged)[:, said], (1 + judged.strength[said]) / 2)


def against_labels(judged: Judged, model: BradleyTerry) -> dict[str, Any]:
    """How well the model foretells the labels: its own parameters, and its reliability on the pairs it was fitted to.

    The side that the scorers prefer is the one that the probability is of, so it lies above ½; what is seen is how
    often people preferred it too, and ε as fitted belongs to what they were expected to.
    """
    said = judged.rankable
    right = model.right(_margins(judged)[:, said])
    share = (1 + judged.strength[said]) / 2
    likely = model.likely(np.maximum(right, 1 - right))
    seen = np.where(right > 0.5, share, np.where(right < 0.5, 1 - share, 0.5))
    return model.as_json() | {"calibration_error": reliability(likely, seen).error}


def _margins(judged: Judged) -> np.ndarray:
    return np.asarray(judged.raw[:, 0] - judged.raw[:, 1])


def _spread(which: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``values`` at the places ``which`` [n], NaN elsewhere."""
    result = np.full(len(which), np.nan)
    result[which] = values
    return result


def _needed(how: Ranking, pairs: int) -> int | None:
    """How many pairs need a front: what the cut keeps, where nothing is left out before it."""
    plain = how.drop == type(how.drop)() and how.spread == type(how.spread)() and how.cut.order == "quality"
    if not plain:
        return None
    return how.cut.count if how.cut.fraction is None else round(how.cut.fraction * pairs) + 1
