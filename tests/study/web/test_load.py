"""Fifty people at once on bad connections while the server is killed again and again: each vote once, and none lost."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sqlalchemy import Row, select

from study.studies import BIN, postgresql
from study.web.coloured import QUESTIONS, judge, study
from study.web.process import Server, invited, opened, running
from study.web.rough import Rough
from tastemaker.base import draw
from tastemaker.study import votes
from tastemaker.study.assign import shown
from tastemaker.study.client import Client
from tastemaker.study.db import Store, assignment
from tastemaker.study.design import Design, Plan
from tastemaker.study.simulated import Random, Sent, answer_all
from tastemaker.study.vote import TIE

pytestmark = [pytest.mark.slow(minutes=2), pytest.mark.timeout(900)]
SEED = 6
RATERS = 5  # an item
LEFT_OVER = 5
"""Where people, quota and items fit exactly, the last to come may have done already what is left: one or two tasks."""


@dataclass(frozen=True)
class Load:
    """How many people do how many of how many items, and how often the server is killed meanwhile."""

    people: int
    quota: int
    items: int
    kills: int


@dataclass(frozen=True)
class Taken:
    """What a person sent and saw acknowledged."""

    link: str
    sent: list[Sent]
    way: Rough


def take_part(server: Server, link: str, way: Rough) -> Taken:
    client = Client(server.url, patience=150, transport=way)
    client.join(link, "somebody")
    sent = answer_all(client, Random(), judge, (SEED, link), patience=150)
    client.close()
    return Taken(link, sent, way)


class Kills(NamedTuple):
    """How often the server was killed, and for how long it was away in all."""

    number: int = 0
    seconds: float = 0.0


def killing(server: Server, ways: Sequence[Rough], load: Load, over: threading.Event) -> Kills:
    """Kill the server when drawn numbers of posts were acknowledged, and start it again."""
    posts = 2 * load.people * load.quota * len(QUESTIONS)
    moments = np.sort(draw.numbers(SEED, "kills").integers(1, int(0.95 * posts), load.kills))
    done = Kills()
    for moment in moments:
        while sum(len(way.acknowledged) for way in ways) < moment:
            if over.wait(0.005):
                return done
        started = time.monotonic()
        server.stop(signal.SIGKILL)
        server.start()
        done = Kills(done.number + 1, done.seconds + time.monotonic() - started)
    return done


def put_under(load: Load, folder: Path, url: str = "") -> tuple[Design, list[Taken], int]:
    """Run a study under ``load``; prints what it took."""
    plan = Plan(title="t", questions=QUESTIONS, raters_per_item=RATERS, quota=load.quota, seed=SEED)
    design = study(folder, plan, load.items, dict.fromkeys(QUESTIONS, 0.5))
    links = invited(folder / "study", load.people, url)
    ways = [Rough(draw.numbers(SEED, "drops", place)) for place in range(load.people)]
    over = threading.Event()
    with running(folder / "study", url) as server, ThreadPoolExecutor(load.people + 1) as pool:
        started = time.monotonic()
        killed = pool.submit(killing, server, ways, load, over)
        work = [pool.submit(take_part, server, link, way) for link, way in zip(links, ways, strict=True)]
        try:
            taken = [each.result() for each in work]
        finally:
            over.set()
        describe(ways, time.monotonic() - started, killed.result())
        assert server.stop() == 143
    return design, taken, killed.result().number


def describe(ways: Sequence[Rough], total: float, kills: Kills) -> None:
    seconds = np.concatenate([way.seconds for way in ways])
    middle, slow = np.quantile(seconds, [0.5, 0.99]) * 1000
    dropped, lost = sum(way.dropped for way in ways), sum(way.lost for way in ways)
    print(
        f"{len(seconds)} answers in {total:.1f} s, {len(seconds) / (total - kills.seconds):.0f} a second while the "
        f"server was there; median {middle:.0f} ms, 99th percentile {slow:.0f} ms; {dropped} replies dropped, "
        f"{lost} requests lost; {kills.number} kills took {kills.seconds:.1f} s"
    )


def check(store: Store, design: Design, taken: Sequence[Taken], load: Load) -> None:
    """What has to hold in the end, from the rows of the database."""
    cast = votes.every(store)
    with store.read() as connection:
        rows = {row.token: row for row in connection.execute(select(assignment))}
    assert all(vote.revision == 0 and vote.answer is not None for vote in cast)
    assert max(Counter((vote.rater, vote.item, vote.question) for vote in cast).values()) == 1
    assert {row.state for row in rows.values()} == {"done"}
    everything_kept(store, taken, rows)
    asked_rightly(design, list(rows.values()))
    assert len(cast) == len(rows) * len(QUESTIONS)
    assert 0 <= load.people * load.quota - len(rows) <= LEFT_OVER


def everything_kept(store: Store, taken: Sequence[Taken], rows: dict[str, Row]) -> None:  # type: ignore[type-arg]
    """What was acknowledged stands as it was sent, and nothing stands that nobody sent."""
    said = {(vote.rater, vote.item, vote.question): (vote.answer, vote.seconds) for vote in votes.every(store)}
    everything = set()
    for one in taken:
        posts = [each.body for each in one.way.acknowledged if each.path == "/api/vote"]
        posts += [{"token": v.token, "answers": {v.question: v.answer}, "seconds": v.seconds} for v in one.sent]
        raters = {rows[post["token"]].rater for post in posts}
        assert len(raters) == 1
        assert len({(vote.token, vote.question) for vote in one.sent}) == len(one.sent)  # nobody was asked again
        for post in posts:
            row = rows[post["token"]]
            ((question, answer),) = post["answers"].items()
            place = TIE if answer == TIE else json.loads(row.shown)[answer]
            assert said[row.rater, row.item, question] == (place, post["seconds"])
            everything.add((row.rater, row.item, question))
    assert everything == said.keys()


def asked_rightly(design: Design, rows: Sequence[Row]) -> None:  # type: ignore[type-arg]
    """No item has too many raters, and each image of it stands on the left as often as on the right, or once more."""
    places: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for row in rows:
        places[row.item].append(tuple(json.loads(row.shown)))
        assert places[row.item][-1] == shown(design, row.item, row.slot)
    assert max(len(orders) for orders in places.values()) == RATERS
    assert all(abs(2 * orders.count((0, 1)) - len(orders)) <= 1 for orders in places.values())


def test_fifty_people_bad_connections_and_ten_kills(tmp_path: Path) -> None:
    """50 × 20 = 200 × 5: in the end all places of the items are taken, each once, but for `LEFT_OVER`."""
    load = Load(people=50, quota=20, items=200, kills=10)
    design, taken, kills = put_under(load, tmp_path)
    assert kills == load.kills
    with opened(tmp_path / "study") as store:
        check(store, design, taken, load)


@pytest.mark.skipif(not (BIN / "initdb").exists(), reason="no PostgreSQL server under /usr/lib/postgresql")
def test_the_same_on_postgresql(tmp_path: Path) -> None:
    load = Load(people=20, quota=10, items=40, kills=4)
    with postgresql() as url:
        design, taken, kills = put_under(load, tmp_path, url)
        assert kills == load.kills
        with opened(tmp_path / "study", url) as store:
            check(store, design, taken, load)
