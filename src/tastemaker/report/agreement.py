"""Whether several scorers agree: raw scores of the same (image, prompt), two by two.

Spearman's ρ is Pearson's correlation of the ranks, tied scores at their mean rank; no rising calibration changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base import draw as draws
from tastemaker.report.page import Section, Table

if TYPE_CHECKING:
    import numpy as np

COMPARED = 6
"""Scorers that are compared: 15 pairs of them."""
KEYS, SEED = 200_000, 0
"""Most (image, prompt) that are looked at, drawn by this seed; the standard error of ρ is then 0.002."""


@dataclass(frozen=True, eq=False)
class Raw:
    """Raw scores of n (image, prompt) by k scorers."""

    scorers: tuple[str, ...]
    """Ids."""
    values: np.ndarray
    """float64 [k, n], NaN where a scorer has none"""
    of: int
    """How many there are, before any were drawn."""
    left_out: tuple[str, ...]
    """Scorers that are not looked at."""

    @property
    def names(self) -> tuple[str, ...]:
        """The scorers without their revision, where that tells them apart."""
        short = [scorer.partition("@")[0] for scorer in self.scorers]
        return tuple(
            name if short.count(name) == 1 else scorer for name, scorer in zip(short, self.scorers, strict=True)
        )

    @property
    def drawn(self) -> str:
        """How many (image, prompt) these are, in words."""
        n = self.values.shape[1]
        return f"{n:,} of {self.of:,}, drawn with seed {SEED}" if n < self.of else f"all {n:,} that there are"

    def both(self, one: int, two: int) -> np.ndarray:
        """float64 [2, m]: the scores of what both scored."""
        import numpy as np

        pair = self.values[[one, two]]
        return pair[:, np.isfinite(pair).all(axis=0)]


def section(data: Path, first: Sequence[str] = ()) -> Section | None:
    """Pictures and a table of how far the finished scorers of ``data`` agree; None where there are not two.

    ``first`` are those of the ranking, which come before the others. Raises `UserError` for damaged scores.
    """
    from tastemaker.report.scatter import scatter
    from tastemaker.score.scores import scored_by

    known = scored_by(data)
    order = [scorer for scorer in first if scorer in known]
    order += [scorer for scorer in known if scorer not in order]
    if len(order) < 2:
        return None
    raw = read(data, order)
    return Section("Whether the scorers agree", (scatter(raw), table(raw)))


def read(data: Path, scorers: Sequence[str]) -> Raw:
    """Raw scores by the first `COMPARED` of ``scorers``, at most `KEYS` of those by the one with most of them.

    One scorer's file at a time is in memory.
    """
    import numpy as np

    from tastemaker.score.scores import read_scores

    chosen = scorers[:COMPARED]
    base = read_scores(data, max(chosen, key=lambda scorer: _rows(data, scorer)))
    drawn = sample(len(base), KEYS)
    sha, prompt_sha, of = base.sha.take(drawn), base.prompt_sha.take(drawn), len(base)
    del base
    values = np.stack([read_scores(data, scorer).find(sha, prompt_sha) for scorer in chosen])
    return Raw(tuple(chosen), values, of, tuple(scorers[COMPARED:]))


def _rows(data: Path, scorer: str) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tastemaker.score.scores import NAME, read_scores, scores_folder

    try:
        return int(pq.read_metadata(scores_folder(data, scorer) / NAME).num_rows)
    except (pa.ArrowException, OSError):
        return len(read_scores(data, scorer))  # says what is wrong with it


def sample(rows: int, most: int) -> np.ndarray:
    """At most ``most`` of ``rows`` numbers, drawn by `SEED`, ascending."""
    import numpy as np

    if rows <= most:
        return np.arange(rows)
    chosen: np.ndarray = np.sort(draws.numbers(SEED, "report", "agreement").choice(rows, most, replace=False))
    return chosen


def spearman(pair: np.ndarray) -> float:
    """ρ of m scores [2, m]; NaN for fewer than two, or where one scorer gives all the same."""
    import numpy as np
    from scipy.stats import spearmanr

    if pair.shape[1] < 2 or (np.ptp(pair, axis=1) == 0).any():
        return float("nan")
    return float(spearmanr(pair[0], pair[1]).statistic)


def table(raw: Raw) -> Table:
    """ρ of every two scorers, and of how many (image, prompt)."""
    correlation = {(i, j): spearman(raw.both(i, j)) for i, j in combinations(range(len(raw.scorers)), 2)}
    rows = [
        (name, *("1" if i == j else rho(correlation[min(i, j), max(i, j)]) for j in range(len(raw.names))))
        for i, name in enumerate(raw.names)
    ]
    counts = {raw.both(i, j).shape[1] for i, j in correlation}
    of = f"{min(counts):,}" if len(counts) == 1 else f"{min(counts):,} to {max(counts):,}"
    caption = f"Spearman's rank correlation ρ of the raw scores of {of} (image, prompt) that both scored; {raw.drawn}."
    if raw.left_out:
        caption += f" Left out: {', '.join(raw.left_out)}."
    return Table(("ρ", *raw.names), tuple(rows), caption=caption)


def rho(value: float) -> str:
    """ρ as it is written."""
    return "–" if value != value else f"{value:+.2f}".replace("-", "−")
