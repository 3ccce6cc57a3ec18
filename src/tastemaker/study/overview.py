"""How far a study is, for those who run it: never who is winning, so that nobody stops it at a lucky moment."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tastemaker.study import votes
from tastemaker.study.db import Store
from tastemaker.study.web import people


def overview(store: Store) -> dict[str, Any]:
    """Counts (`votes.Status`), the agreement of all raters on each question so far, and where the votes are."""
    counts = asdict(votes.status(store))
    agreed = {each.question: f"raw {each.raw}, α {each.alpha}" for each in people.agreed(store)}
    shown = {"agreement so far": agreed} if agreed else {}
    return {"state": counts.pop("state"), **counts, **shown, "folder": str(store.folder), "database": store.name}
