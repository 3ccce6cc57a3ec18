"""People who vote on the rounds of a run while it waits for them; what they say depends on the images alone."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tastemaker.study import raters, votes
from tastemaker.study.assign import Given, next_task
from tastemaker.study.db import Store
from tastemaker.study.series import RUN, Series, open_series
from tastemaker.study.vote import Answer, Item

Says = Callable[[Item], Answer | None]
"""From a task to the answer, by places of `Item.images`; None skips it."""
SKIPPED = "0"


def worth(sha: str) -> int:
    """How much an image is liked: of sixteen values, so that some are equal."""
    return int(sha[-1], 16)


def better(item: Item) -> Answer | None:
    """Of a pair the image with the higher worth; pairs with an image whose hash begins with `SKIPPED` are skipped."""
    a, b = (worth(image.sha) for image in item.images)
    if any(image.sha.startswith(SKIPPED) for image in item.images):
        return None
    return "tie" if a == b else int(b > a)


def on_screen(given: Given, answer: Any) -> Any:
    """An answer by places as the rater gives it: by positions on the screen."""
    if given.item.kind == "rank":
        return [given.shown.index(place) for place in answer]
    if given.item.kind == "flag":
        return [[given.shown.index(place), flag] for place, flag in answer]
    return answer if answer == "tie" else given.shown.index(answer)


def vote(store: Store, rater: str, says: Says, most: int | None = None, seconds: float = 2.0, at: float = 0.0) -> int:
    """Do at most so many tasks; returns how many there were."""
    for done in itertools.count():
        given = next_task(store, rater, at) if done != most else "done"
        if isinstance(given, str):
            return done
        answer = says(given.item)
        if answer is None:
            votes.skip(store, rater, given.token, at)
        else:
            said = {question: on_screen(given, answer) for question in store.design.asked}
            votes.take(store, rater, given.token, said, seconds, f"{given.token} {done}", at)
    raise AssertionError


def joined(store: Store, number: int) -> list[str]:
    """So many people who have joined, by their ids."""
    return [raters.join(store, f"rater {n}", raters.invite(store), 0.0) for n in range(number)]


@contextmanager
def people(run: Path, says: Says = better, number: int = 1) -> Iterator[None]:
    """A crowd that answers whatever the run asks, round after round, each with one link for all of them."""
    end = threading.Event()
    crowd = threading.Thread(target=_answer, args=(run, says, number, end))
    crowd.start()
    try:
        yield
    finally:
        end.set()
        crowd.join()


def _answer(run: Path, says: Says, number: int, end: threading.Event) -> None:
    while not (run / RUN).exists():
        if end.wait(0.05):
            return
    series, links = open_series(run), []
    while not end.wait(0.05):
        store = series.current()
        if store is not None:
            links = links or _links(store, number)
            for link in links:
                _vote(series, link, says)
    series.close()


def _links(store: Store, number: int) -> list[str]:
    links = [raters.invite(store) for _ in range(number)]
    for place, link in enumerate(links):
        raters.join(store, f"rater {place}", link, 0.0)
    return links


def _vote(series: Series, link: str, says: Says) -> None:
    found = series.joined(link)
    assert found is not None
    vote(*found, says)
