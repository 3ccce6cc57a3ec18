"""KTO's selector: which pairs have a winner that won all its comparisons and a loser that lost all its own.

The baseline of DPO-QSD (openreview t4xD6KBql7), which calls it unreliable where images are compared once or twice; so
the report says how often they were. It asks no scorer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tastemaker.rank.judge import Judged


@dataclass(frozen=True)
class Records:
    """What became of every image of a prompt in the comparisons of it; ties are compared and not won."""

    worth: np.ndarray
    """float64 [n]: the smaller number of comparisons of the pair's two images; 0 where one has a spoilt record"""
    compared: np.ndarray
    """int64 [images]: how often each (image, prompt) was compared"""

    def as_json(self) -> dict[str, float]:
        """Share of the images that were compared more than once and more than five times, the mean and the most."""
        often = self.compared
        shares = {f"more_than_{name}": float(np.mean(often > count)) for name, count in (("once", 1), ("five", 5))}
        return {**shares, "mean": float(often.mean()), "most": int(often.max())}


def records(judged: Judged) -> Records:
    """Count wins and losses of every (image, prompt), ties included."""
    key = judged.image * len(judged.coded.prompts) + judged.prompt  # [2, n]
    images, place = np.unique(key, return_inverse=True)
    winner, loser = place.reshape(2, -1)
    counted = (winner[~judged.tie], loser[~judged.tie], place.reshape(-1))
    won, lost, compared = (np.bincount(images_of, minlength=len(images)) for images_of in counted)
    clean = (won == compared)[winner] & (lost == compared)[loser]
    least = np.minimum(compared[winner], compared[loser])
    return Records(np.where(clean, least, 0).astype(np.float64), compared)
