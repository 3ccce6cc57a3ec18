"""The studies behind one address: a single one, or the rounds of a `tastemaker d3po` run as they open one by one.

A rater's link goes on from round to round (`raters.carry`); votes of a round are in that round's database.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tastemaker.base.errors import UserError
from tastemaker.study import db, raters
from tastemaker.study import design as designs
from tastemaker.study.db import Store

ROUND = "study"
"""The study of a round, in the round's folder."""
RUN, ROUNDS = "recipe.yaml", "rounds/round-*"


class Joined(NamedTuple):
    """A rater (the id) and the study that is open to them."""

    store: Store
    rater: str


@dataclass(frozen=True)
class Series:
    """``folder`` holds a study, or is the folder of a run; of rounds the newest is the one that people see.

    ``url`` is a PostgreSQL database; the rounds of a run share it, each in a schema of its own.
    """

    folder: Path
    url: str = ""
    _opened: dict[Path, Store] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def rounds(self) -> bool:
        """Whether more studies may come."""
        return not (self.folder / designs.STUDY).exists()

    def stores(self) -> list[Store]:
        """Every study there is by now, open, the newest last. Raises `UserError` as `db.open_study`."""
        with self._lock:
            return [self._store(place) for place in places(self.folder)]

    def current(self) -> Store | None:
        """The newest; None before the first round."""
        found = self.stores()
        return found[-1] if found else None

    def known(self, token: str) -> Store | None:
        """The newest study, where ``token`` is of a rater or an invitation of this or an earlier round."""
        stores = self.stores()
        holder = next((store for store in reversed(stores) if raters.known(store, token)), None)
        if holder is not None and holder is not stores[-1]:
            raters.carry(stores[-1], token, holder)
        return holder and stores[-1]

    def joined(self, token: str) -> Joined | None:
        """Who has joined with ``token``, in the newest study; None where nobody has."""
        store = self.known(token)
        rater = store and raters.rater_of(store, token)
        return Joined(store, rater) if store and rater else None

    def close(self) -> None:
        """Close every study."""
        with self._lock:
            for store in self._opened.values():
                store.close()
            self._opened.clear()

    def _store(self, place: Path) -> Store:
        if place not in self._opened:
            schema = "" if place == self.folder else schema_of(place)
            self._opened[place] = db.open_study(place, self.url, schema)
        return self._opened[place]


def open_series(folder: Path, url: str = "") -> Series:
    """What is in ``folder``; raises `UserError` when it holds neither a study nor a run, and as `db.open_study`."""
    if not (folder / designs.STUDY).is_file() and not (folder / RUN).is_file():
        raise UserError(
            f"{folder}: holds no study and no run; make one with `tastemaker study create`, or give the folder of a "
            "run of `tastemaker d3po`"
        )
    series = Series(folder, url)
    series.stores()
    return series


def places(folder: Path) -> list[Path]:
    """The folders of the studies, the newest last."""
    if (folder / designs.STUDY).exists():
        return [folder]
    return [place.parent for place in sorted(folder.glob(f"{ROUNDS}/{ROUND}/{designs.STUDY}"))]


def schema_of(study: Path) -> str:
    """What the schema of a round's ``study`` is called in the PostgreSQL database that a run's rounds share."""
    return study.parent.name.replace("-", "_")
