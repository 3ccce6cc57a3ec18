"""A task as JSON, with answers by position on the rater's screen and nothing that tells one image from another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tastemaker.base import summary
from tastemaker.study import assign, db, record, votes
from tastemaker.study.assign import Given, Nothing
from tastemaker.study.db import Store
from tastemaker.study.design import Design
from tastemaker.study.series import Joined, Series
from tastemaker.study.vote import TIE
from tastemaker.study.web import people, texts

GIVES_NONE = ("paused", "closed")
"""Answers that are taken back then could not be given again."""


def view(series: Series, joined: Joined, now: float) -> dict[str, Any]:
    """What is before the rater at ``now`` (seconds since 1970): a task, or why there is none.

    The prompt is not in it while a question that is asked without it has no answer.
    """
    store, rater = joined
    given = assign.next_task(store, rater, now)
    progress = votes.progress(store, rater)
    common = {
        "progress": {"done": progress.done, "of": progress.of},
        "can_undo": progress.done > 0 and given not in GIVES_NONE,
    }
    if not isinstance(given, Given):
        return {"state": _state(series, given)} | common | _pictures(series)
    ahead = assign.next_task(store, rater, now, ahead=1)
    following = _addresses(ahead) if isinstance(ahead, Given) else []
    return (
        {"state": "task"}
        | _task(store.design, given, _answered(store, rater, given))
        | common
        | {"next_images": following}
    )


def can_undo(store: Store) -> bool:
    """Whether what is taken back now could be answered again."""
    return db.state_of(store) not in GIVES_NONE


def finished(series: Series) -> bool:
    """Whether no further round will come."""
    return not series.rounds or (series.folder / summary.NAME).exists()


def on_screen(given: Given, answer: Any) -> Any:
    """An ``answer`` in places of the item's images by the positions in which they stand before the rater."""
    position = given.shown.index
    if answer == TIE:
        return answer
    if given.item.kind == "flag":
        return [[position(place), flag] for place, flag in answer]
    return [position(place) for place in answer] if given.item.kind == "rank" else position(answer)


def _task(design: Design, given: Given, answered: Mapping[str, Any]) -> dict[str, Any]:
    names = sorted(design.asked, key=lambda name: not texts.hidden(name))
    hides = any(texts.hidden(name) and name not in answered for name in names)
    return {
        "token": given.token,
        "kind": given.item.kind,
        "questions": [
            {"name": name, "text": texts.question(name, given.item.kind), "hidden": texts.hidden(name)}
            for name in names
        ],
        "answered": dict(answered),
        "prompt": None if hides else given.item.prompt,
        "images": _addresses(given),
        "flags": list(design.flags),
    }


def _answered(store: Store, rater: str, given: Given) -> dict[str, Any]:
    with store.read() as connection:
        said = record.answered(connection, assign.find(connection, rater, given.token).id)
    return {question: on_screen(given, answer) for question, answer in said.items()}


def _addresses(given: Given) -> list[str]:
    return [f"/image/{given.token}/{position}" for position in range(len(given.shown))]


def _pictures(series: Series) -> dict[str, list[str]]:
    """Of a run, a picture of each round that was judged: what its model drew, for people who wait."""
    if not series.rounds:
        return {}
    stores = enumerate(series.stores())
    return {"pictures": [f"/round/{number}.png" for number, store in stores if people.grid(store)]}


def _state(series: Series, given: Nothing) -> str:
    return "between" if given in ("done", "closed") and not finished(series) else given
