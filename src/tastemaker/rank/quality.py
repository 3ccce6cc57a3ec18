"""The worth of a pair as a lesson.

ψ(x, c) ∈ [0, 1]: probability that image x is liked for prompt c, by a scorer that did not see the label.
Q ∈ [0, 1]: large where the scorer likes the winner and dislikes the loser, or agrees with what was said of one image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def quality(psi_w: np.ndarray, psi_l: np.ndarray) -> np.ndarray:
    """Q = ψ_w · (1 − ψ_l), float64 [n], of n pairs' winners and losers.

    DPO-QSD (Singh, Khanna, Moturi 2024, "Effective Text-to-Image Alignment with Quality Aware Pair Ranking",
    openreview t4xD6KBql7). Unlike the margin ψ_w − ψ_l it also asks that the winner be good: (0.9, 0.5) has Q 0.45,
    (0.5, 0.1) has 0.45 too, (0.4, 0.0) with the same margin only 0.40. Only ranks are comparable between scorers.

    Of an image that was judged alone the factor of the missing one is 1: Q = ψ of a liked image (ψ_l = 0), Q = 1 − ψ of
    a disliked one (ψ_w = 1). That is no longer on the scale of a pair's Q.
    """
    import numpy as np

    return np.asarray(psi_w, np.float64) * (1.0 - np.asarray(psi_l, np.float64))
