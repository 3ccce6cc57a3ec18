"""Several samples of one prompt: what is made of their scores, or which of them stands for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Integers = np.ndarray[tuple[int, ...], np.dtype[np.intp]]


def median(score_nk: ArrayLike) -> Floats:
    """Median score of each prompt's samples, [n, k] → [n]; the mean of the two middles where k is even."""
    import numpy as np

    found: Floats = np.median(np.asarray(score_nk, np.float64), axis=1)
    return found


def best(score_nk: ArrayLike) -> Floats:
    """Highest score of each prompt's samples, [n, k] → [n]."""
    import numpy as np

    found: Floats = np.asarray(score_nk, np.float64).max(axis=1)
    return found


MODES: dict[str, Callable[[ArrayLike], Floats]] = {"median": median, "best": best}
"""Beside the mean of the samples, which is what `winrate.paired_differences` takes."""


def middle(score_nk: ArrayLike) -> Integers:
    """Which sample has the median score, [n, k] → [n]: the lower of the two middles, the first of equal ones.

    Diffusion-DRO's protocol (arXiv 2510.18353): of five images of a prompt the one with the median PickScore is
    judged, so that neither lucky nor unlucky draws decide. `ValueError` for a score that is not finite.
    """
    import numpy as np

    scores = np.asarray(score_nk, np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("a sample without a score cannot be placed among the others")
    return np.argsort(scores, axis=1, kind="stable")[:, (scores.shape[1] - 1) // 2]


def only(score_nk: Floats, sample_n: Integers) -> Floats:
    """The scores of the chosen sample of each prompt, [n, k] → [n, 1]."""
    import numpy as np

    found: Floats = np.take_along_axis(score_nk, sample_n[:, None], axis=1)
    return found
