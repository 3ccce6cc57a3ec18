"""Is the tuned model better? Paired statistics on per-prompt differences.

Legend: ``n`` prompts, ``k`` samples a prompt, ``difference_n`` tuned minus base (same prompt, same seeds, mean over the
samples), ``outcome_n`` 1 for a win, ½ for a tie, 0 for a loss. The prompt is the unit: images of one prompt are not
independent, so intervals resample prompts, never images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

CHUNK = 4_000_000
"""Prompt indices drawn at once by `bootstrap_means`: 32 MB."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its lower and upper confidence limit."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """A tuned model against the base on one scorer; counts are prompts, differences are tuned − base."""

    prompts: int
    wins: int
    ties: int
    losses: int
    win_rate: Interval
    wilson: Interval
    mean_difference: Interval
    median_difference: float
    p_wilcoxon: float
    epsilon: float


def paired_differences(base: ArrayLike, tuned: ArrayLike) -> Floats:
    """Per-prompt difference ``mean_k(tuned − base)`` of two score arrays [n, k] (or [n]) → [n].

    A prompt with an unscored image (NaN) on either side has the difference NaN.
    """
    import numpy as np

    base_nk, tuned_nk = np.asarray(base, np.float64), np.asarray(tuned, np.float64)
    if base_nk.shape != tuned_nk.shape:
        raise ValueError(f"base has shape {base_nk.shape}, tuned {tuned_nk.shape}: they must hold the same images")
    difference = tuned_nk - base_nk
    return difference.reshape(len(difference), -1).mean(axis=1) if len(difference) else difference.reshape(0)


def outcomes(difference_n: ArrayLike, epsilon: float = 0.0) -> Floats:
    """1 where the tuned model wins (difference > ε), ½ where it ties (|difference| ≤ ε), 0 where it loses."""
    import numpy as np

    difference = np.asarray(difference_n, np.float64)
    return 0.5 + 0.5 * (difference > epsilon) - 0.5 * (difference < -epsilon)


def bootstrap_means(columns: ArrayLike, resamples: int, seed: int = 0) -> Floats:
    """Means over resampled prompts, drawn with replacement: ``columns`` [n, c] → [resamples, c].

    All columns see the same resamples. The draw is a function of (seed, n, resamples) alone.
    """
    import numpy as np

    from tastemaker.base import draw

    values = np.asarray(columns, np.float64)
    generator = draw.numbers(seed, "bootstrap", len(values), resamples)
    rows = max(1, CHUNK // max(1, len(values)))
    means = []
    for start in range(0, resamples, rows):
        drawn = generator.integers(0, len(values), (min(rows, resamples - start), len(values)))
        means.append(
            np.stack([column[drawn].mean(axis=1) for column in values.T], axis=1)
        )  # whole rows: 10 times slower
    return np.concatenate(means)


def percentile_interval(value: float, resampled: ArrayLike, confidence: float = 0.95) -> Interval:
    """The central ``confidence`` part of ``resampled`` around ``value`` (percentile bootstrap, Efron 1979)."""
    import numpy as np

    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(resampled, np.float64), [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def mean_interval(value_n: ArrayLike, *, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The mean of one number a prompt, [n] finite and n ≥ 1, with its percentile bootstrap over prompts."""
    import numpy as np

    values = np.asarray(value_n, np.float64)
    resampled = bootstrap_means(values[:, None], resamples, seed)[:, 0]
    return percentile_interval(float(values.mean()), resampled, confidence)


def wilson(rate: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a rate seen in ``n`` trials (Wilson 1927).

    centre = (p + z²/2n)/(1 + z²/n), half width = z/(1 + z²/n)·√(p(1−p)/n + z²/4n²). With ties counted ½ the variance
    is at most p(1−p), so the interval is on the wide side.
    """
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + confidence) / 2)
    shrink = 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return Interval(rate, max(0.0, centre - half), min(1.0, centre + half))


def wilcoxon_p(difference_n: ArrayLike) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; differences of exactly 0 are left out, 1.0 if none is left."""
    import numpy as np
    from scipy import stats

    difference = np.asarray(difference_n, np.float64)
    if not np.any(difference):
        return 1.0
    return float(stats.wilcoxon(difference, zero_method="wilcox").pvalue)


def compare(
    difference_n: ArrayLike, *, epsilon: float = 0.0, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """All paired statistics of per-prompt differences [n] (finite, n ≥ 1), ``win rate = (wins + ties/2)/n``."""
    import numpy as np

    difference = np.asarray(difference_n, np.float64)
    if difference.size == 0 or not np.isfinite(difference).all():
        raise ValueError("differences must be finite and at least one")
    outcome = outcomes(difference, epsilon)
    resampled = bootstrap_means(np.stack([outcome, difference], axis=1), resamples, seed)
    win_rate = float(outcome.mean())
    return Comparison(
        prompts=difference.size,
        wins=int((outcome == 1).sum()),
        ties=int((outcome == 0.5).sum()),
        losses=int((outcome == 0).sum()),
        win_rate=percentile_interval(win_rate, resampled[:, 0], confidence),
        wilson=wilson(win_rate, difference.size, confidence),
        mean_difference=percentile_interval(float(difference.mean()), resampled[:, 1], confidence),
        median_difference=float(np.median(difference)),
        p_wilcoxon=wilcoxon_p(difference),
        epsilon=epsilon,
    )
