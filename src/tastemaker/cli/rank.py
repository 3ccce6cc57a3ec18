"""`tastemaker rank`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def run(
    data: Path,
    /,
    *,
    scorer: str,
    out: Path,
    fraction: float | None = None,
    count: int | None = None,
    min_quality: float | None = None,
    order: Literal["quality", "random"] = "quality",
    seed: int = 0,
    calibration: str | None = None,
    only: Literal["pairs", "singles", "liked"] | None = None,
) -> None:
    """Order the pairs by the quality Q = ψ(winner) · (1 − ψ(loser)), best first, and cut.

    Of an image that was judged alone Q is ψ if it is liked, else 1 − ψ.

    Writes OUT/pairs.parquet, in the order in which training reads it, and OUT/discarded.parquet. Give one of
    --fraction, --count and --min-quality, or none for all pairs. With --order random the pairs stand in a drawn
    order and Q is only written down: all pairs, or with --count a random subset, to compare with.

    Args:
        data: Data folder with scores, as made by tastemaker score.
        scorer: Whose scores: a name, or an id such as jpeg-size@q95 where several share the name.
        out: Folder to write to.
        fraction: Keep this share of the pairs that can be ranked: 0.3 keeps 30 %.
        count: Keep so many pairs.
        min_quality: Keep the pairs with at least this Q.
        order: Best pairs first, or a drawn order.
        seed: Draws the random order.
        calibration: How scores become ψ in [0, 1], if not as the scorer says: identity, range:LOW,HIGH, standardise.
        only: What to take of data that hold pairs and single images, or the liked ones alone, as SFT needs them.
    """
    from tastemaker.base.summary import show
    from tastemaker.cli.scorers import scorer_id
    from tastemaker.rank.ranking import Cut, rank
    from tastemaker.score.scores import find_scorer

    cut = Cut(fraction=fraction, count=count, min_quality=min_quality, order=order, seed=seed)
    found = find_scorer(data, scorer_id(scorer), spec=scorer if ":" in scorer else None)
    show(rank(data, found, out, cut, calibration=calibration, only=only))
