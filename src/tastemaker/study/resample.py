"""The cluster bootstrap: intervals of figures that are made of sums over items or prompts.

Legend: ``columns_nc`` [n, c] what each of n clusters adds to c sums, ``sums_rc`` [r, c] the sums of r resamples.
Clusters are drawn whole, since what lies in one of them (the raters of an item, the items of a prompt) hangs together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from tastemaker.base import draw
from tastemaker.evaluate.winrate import Interval

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Statistic = Callable[[Floats], Floats]
"""From sums [r, c] to a figure of each [r], NaN where it is not defined."""


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn: number of resamples, confidence, seed."""

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0

    def interval(self, statistic: Statistic, columns_nc: Floats) -> Interval:
        """The figure of all clusters, and the percentile interval (Efron 1979) over resampled clusters.

        Resamples of which the figure is not defined are left out; without any other the limits are NaN. The draw is a
        function of (seed, n, resamples) alone, so figures of the same clusters share their resamples.
        """
        value = float(statistic(columns_nc.sum(0, keepdims=True))[0])
        figures = statistic(self._sums(columns_nc)) if len(columns_nc) else np.empty(0)
        figures = figures[np.isfinite(figures)]
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(figures, [tail, 1 - tail]) if figures.size else (np.nan, np.nan)
        return Interval(value, float(low), float(high))

    def _sums(self, columns_nc: Floats) -> Floats:
        n = len(columns_nc)
        numbers = draw.numbers(self.seed, "study", "bootstrap", n, self.resamples)
        return numbers.multinomial(n, np.full(n, 1 / n), self.resamples) @ columns_nc


def ratio(sums_rc: Floats) -> Floats:
    """First sum / second sum, NaN where the second is 0."""
    return divide(sums_rc[:, 0], sums_rc[:, 1])


def divide(over: Floats, under: Floats) -> Floats:
    """``over / under``, NaN where ``under`` is 0."""
    return np.divide(over, under, out=np.full(np.shape(over), np.nan), where=under > 0)


def by_cluster(clusters: Sequence[Hashable], columns: Floats) -> Floats:
    """The rows of ``columns`` [m, c] added up within each cluster [n, c], clusters in order of first appearance."""
    order = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    sums = np.zeros((len(order), columns.shape[1]))
    np.add.at(sums, [order[cluster] for cluster in clusters], columns)
    return sums
