"""How far a study is, for those who run it: never who is winning, so that nobody stops it at a lucky moment."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from tastemaker.evaluate.winrate import Interval
from tastemaker.study import votes
from tastemaker.study.agreement import Agreement, agreement
from tastemaker.study.db import Store
from tastemaker.study.resample import Bootstrap
from tastemaker.study.vote import last

RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class Agreed:
    """How far the raters agree on one question so far."""

    question: str
    units: int
    raw: str
    alpha: str


def overview(store: Store) -> dict[str, Any]:
    """Counts (`votes.Status`), the agreement of all raters on each question so far, and where the votes are."""
    counts = asdict(votes.status(store))
    found = {each.question: f"raw {each.raw}, α {each.alpha}" for each in agreed(store)}
    shown = {"agreement so far": found} if found else {}
    return {"state": counts.pop("state"), **counts, **shown, "folder": str(store.folder), "database": store.name}


def agreed(store: Store) -> list[Agreed]:
    """Raw agreement and Krippendorff's α of every question, with intervals of `RESAMPLES` resamples."""
    items = {item.id: item for item in store.design.items if item.measured}
    cast = [vote for vote in last(votes.every(store)) if vote.item in items]
    return [
        _agreed(question, agreement(items, own, store.design.flags, Bootstrap(RESAMPLES)))
        for question in store.design.asked
        if (own := [vote for vote in cast if vote.question == question])
    ]


def _agreed(question: str, found: Agreement) -> Agreed:
    return Agreed(question, found.units, _interval(found.raw), _interval(found.alpha))


def _interval(figure: Interval) -> str:
    """Value and limits for people; a dash where it is not defined."""
    if math.isnan(figure.value):
        return "–"
    limits = "" if math.isnan(figure.low) else f" ({figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.3f}{limits}"
