"""How well a number finds something: ROC curve and the area under it.

Used to ask whether a low quality Q marks the comparisons whose label is known to be wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Probability that a random positive scores above a random negative, ties counting ½.

    ``(R₊ − n₊(n₊+1)/2) / (n₊ n₋)`` with R₊ the sum of the positives' mid-ranks (Mann & Whitney 1947).
    ``labels`` [n] true for positives, ``scores`` [n] finite; `ValueError` unless both classes are there.
    """
    import numpy as np
    from scipy import stats

    positive, score = _checked(labels, scores)
    ranks = stats.rankdata(score)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * np.float64(n_negative)))


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """False and true positive rates [m], from (0, 0) to (1, 1), one point for each distinct score, highest first."""
    import numpy as np

    positive, score = _checked(labels, scores)
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.diff(score[order]) != 0, True)
    hits = np.cumsum(positive[order])[last_of_tie]
    seen = np.flatnonzero(last_of_tie) + 1
    true_rate = np.append(0.0, hits / positive.sum())
    false_rate = np.append(0.0, (seen - hits) / (~positive).sum())
    return false_rate, true_rate


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.bool_]], Floats]:
    import numpy as np

    positive, score = np.asarray(labels, bool), np.asarray(scores, np.float64)
    if positive.shape != score.shape or not np.isfinite(score).all():
        raise ValueError("labels and scores must have the same length and scores must be finite")
    if positive.all() or not positive.any():
        raise ValueError("a ROC curve needs positives and negatives")
    return positive, score
