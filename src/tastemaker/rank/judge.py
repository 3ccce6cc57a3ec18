"""Who won: every comparison oriented by its label, with what the scorers say of both images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.rank.calibrate import Calibration
from tastemaker.rank.codes import Coded, RawScores, code, scored_images
from tastemaker.score.scores import Scores

ORIGINS = ("label", "swapped", "tied", "constructed")
"""Where a pair's winner comes from: what people said, what the scorers said against them, or nobody was asked."""
LABEL, SWAPPED, TIED, CONSTRUCTED = range(len(ORIGINS))


@dataclass(frozen=True)
class Scored:
    """One scorer's scores of the data, its ψ, and its weight among several."""

    scores: Scores
    psi: Calibration
    weight: float = 1.0

    @cached_property
    def images(self) -> pa.Array:
        """The distinct images."""
        return scored_images(self.scores)


@dataclass(frozen=True)
class Judged:
    """n pairs under K scorers; a tie has its two images in the order of their hashes.

    All are pairs, or all are images that were judged alone, with a winner (liked) or a loser. An image that is not
    there has the code −1.
    """

    coded: Coded
    row: np.ndarray
    """int64 [n]: the comparison; of a constructed pair, one of its prompt"""
    pair_id: pa.ChunkedArray
    image: np.ndarray
    """int64 [2, n]: codes of winners and losers"""
    tie: np.ndarray
    """bool [n]"""
    strength: np.ndarray
    """float64 [n]: |2·share − 1|, 1 where people only said who won, 0 of a tie"""
    raw: np.ndarray
    """float64 [K, 2, n]: winners' and losers' scores, NaN where one is missing"""
    psi: np.ndarray
    """float64 [K, 2, n]"""
    origin: np.ndarray
    """int8 [n]: places in `ORIGINS`"""

    def __len__(self) -> int:
        return len(self.row)

    @property
    def prompt(self) -> np.ndarray:
        """int64 [n]: codes of the prompts."""
        return self.coded.prompt[self.row]

    @property
    def singles(self) -> bool:
        """Whether these are single images."""
        return bool((self.image < 0).any())

    @property
    def scored(self) -> np.ndarray:
        """bool [n]: every scorer has scored every image that there is."""
        scored: np.ndarray = (np.isfinite(self.psi).all(0) | (self.image < 0)).all(0)
        return scored

    @property
    def rankable(self) -> np.ndarray:
        """bool [n]: has a winner and all scores."""
        return self.scored & ~self.tie

    @property
    def filled(self) -> np.ndarray:
        """ψ, float64 [K, 2, n], with 1 for a winner and 0 for a loser that is not there (`quality.quality`)."""
        return np.where(self.image < 0, np.array([[1.0], [0.0]]), self.psi)

    def turned(self, which: np.ndarray) -> Judged:
        """The same with winner and loser exchanged where ``which`` [n]."""
        image, raw, psi = (np.where(which, v[..., ::-1, :], v) for v in (self.image, self.raw, self.psi))
        return replace(self, image=image, raw=raw, psi=psi)


def judge(comparisons: pa.Table, scorers: Sequence[Scored]) -> Judged:
    """Orient every comparison by its label, and look up both images' scores."""
    coded = code(comparisons, scorers[0].images)
    tie = np.asarray(pc.equal(comparisons["label"], "tie"))
    first = np.where(tie, _by_hash(comparisons), np.asarray(pc.is_in(comparisons["label"], pa.array(["a", "liked"]))))
    image = np.array([np.where(first, coded.image_a, coded.image_b), np.where(first, coded.image_b, coded.image_a)])
    raw, psi = look_up(coded, scorers, image, coded.prompt)
    return Judged(
        coded,
        row=np.arange(len(comparisons)),
        pair_id=comparisons["pair_id"],
        image=image,
        tie=tie,
        strength=np.where(tie, 0.0, _strength(comparisons)),
        raw=raw,
        psi=psi,
        origin=np.full(len(comparisons), LABEL, np.int8),
    )


def look_up(
    coded: Coded, scorers: Sequence[Scored], image: np.ndarray, prompt: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Raw scores and ψ, float64 [K, 2, n], of the images [2, n] of n prompts."""
    tables = [RawScores(one.scores, one.images, coded) for one in scorers]
    raw = [np.array([table.find(side, prompt) for side in image]) for table in tables]
    return np.array(raw), np.array([one.psi(values) for one, values in zip(scorers, raw, strict=True)])


def _by_hash(comparisons: pa.Table) -> np.ndarray:
    """bool [n]: the first image has the smaller hash; False of one image alone, which is no tie."""
    return np.asarray(pc.fill_null(pc.less_equal(comparisons["image_a"], comparisons["image_b"]), False))


def _strength(comparisons: pa.Table) -> np.ndarray:
    """|2·share − 1|; 1 where there is no share, and in data that were imported before there were any."""
    if "share" not in comparisons.column_names:
        return np.ones(len(comparisons))
    share = pc.fill_null(pc.cast(comparisons["share"], pa.float64()), 1.0)
    return np.round(np.abs(2.0 * np.asarray(share) - 1.0), 6)  # 0.8 and 0.2 are not as far from ½ in float32
