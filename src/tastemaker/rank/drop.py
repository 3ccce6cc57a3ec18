"""Pairs that are left out before the cut, and why: the reasons in `discarded.parquet`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tastemaker.base.errors import UserError
from tastemaker.rank.duplicates import check, hashes, repeated
from tastemaker.rank.holdout import Holdout
from tastemaker.rank.judge import Judged

REASONS = ("cut", "cap", "duplicate", "holdout", "weak", "record", "unscored", "tie")
"""In the order in which they stand in the file."""
CUT, CAP, DUPLICATE, HOLDOUT, WEAK, RECORD, UNSCORED, TIE = range(len(REASONS))
STAYS = -1


@dataclass(frozen=True)
class Drop:
    """``near_duplicates`` is a Hamming distance (`duplicates`), ``min_strength`` the least |2·share − 1|."""

    near_duplicates: int | None = None
    holdout: Holdout | None = None
    min_strength: float = 0.0

    def __post_init__(self) -> None:
        if self.near_duplicates is not None:
            check(self.near_duplicates)
        if not 0 <= self.min_strength <= 1:
            raise UserError(f"--min-strength {self.min_strength}: |2·share − 1| lies between 0 and 1")

    def as_json(self) -> dict[str, Any]:
        """For metadata, summary and fingerprint."""
        holdout = self.holdout.as_json() if self.holdout else None
        return {"near_duplicates": self.near_duplicates, "holdout": holdout, "min_strength": self.min_strength}


def reasons(judged: Judged, worth: np.ndarray, drop: Drop) -> np.ndarray:
    """Places in `REASONS`, int8 [n], `STAYS` for what may be kept; near-duplicates are for `duplicate`.

    ``worth`` [n] is NaN where the record of a pair is spoilt. Of several reasons the first of these counts: no winner,
    no score, a spoilt record, weakness, the prompt.
    """
    reason = np.full(len(judged), STAYS, np.int8)
    if drop.holdout:
        reason[drop.holdout.has(judged.coded)[judged.row]] = HOLDOUT
    reason[judged.strength < drop.min_strength] = WEAK
    reason[np.isnan(worth)] = RECORD
    reason[~judged.scored] = UNSCORED
    reason[judged.tie] = TIE
    return reason


def duplicate(judged: Judged, best: np.ndarray, distance: int, data: Path) -> np.ndarray:
    """bool [m]: which of the pairs ``best`` [m], best first, are near-duplicates by the images of ``data``."""
    image = judged.image[:, best]
    codes = np.unique(image[image >= 0])
    names: Sequence[str] = judged.coded.images.take(pa.array(codes)).to_pylist()
    of_sha = hashes(data, names)
    known = {code: of_sha[name] for code, name in zip(codes.tolist(), names, strict=True) if name in of_sha}
    return repeated(judged.prompt[best], image, known, distance)
