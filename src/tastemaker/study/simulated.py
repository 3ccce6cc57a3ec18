"""Simulated raters: who they are, and how they go through a study by the interface that people use.

They see only what a page shows: decoded images, and the prompt where it stands. What an image is worth to them is the
caller's ``judge``; what they make of that is their own: `Honest`, `Noisy`, `LazyLeft`, `Random`.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.study.client import Client, Refused, View
from tastemaker.study.vote import TIE, Kind

Judge = Callable[[str, str | None, list[Image.Image]], list[float]]
"""(question, prompt or None where it is hidden, images in their order on the screen) → what each is worth.

Of a task of kind `flag` it is asked once a flag, by the flag's name: how far each image is from having that flag.
"""
SPREAD = 0.4
"""Standard deviation of the logarithm of the seconds that an answer takes."""
ENDED = ("done", "closed")
GONE = (404, 409)
"""The server says so when a task is another's by now."""


class Seen(NamedTuple):
    """A question before a rater: scores by position on the screen, of kind `flag` a row a flag, else one row."""

    kind: Kind
    scores: tuple[tuple[float, ...], ...]
    flags: tuple[str, ...] = ()


class Sent(NamedTuple):
    """A vote as it was sent and taken: an answer by position on the screen."""

    token: str
    question: str
    answer: Any
    seconds: float
    prompt: str | None
    images: tuple[bytes, ...]


class Person(Protocol):
    """Somebody who answers."""

    @property
    def seconds(self) -> float:
        """The median time of an answer."""

    def answer(self, seen: Seen, numbers: np.random.Generator, /) -> Any:
        """The answer by position on the screen, as `POST /api/vote` takes it."""


@dataclass(frozen=True)
class Honest:
    """Says what is so. Of a pair whose scores differ by ``tie`` or less, a tie; flags what scores below ``flawed``.

    Of equal scores the one further left goes first.
    """

    tie: float = 0.0
    flawed: float = 0.5
    seconds: float = 4.0

    def answer(self, seen: Seen, _: np.random.Generator) -> Any:
        """The truth, as far as scores say it."""
        if seen.kind == "flag":
            return flags_of(seen, np.array(seen.scores) < self.flawed)
        order = sorted(range(len(seen.scores[0])), key=lambda position: -seen.scores[0][position])
        if seen.kind == "rank":
            return order
        first, second = (seen.scores[0][position] for position in order[:2])
        return TIE if seen.kind == "pair" and first - second <= self.tie else order[0]


@dataclass(frozen=True)
class Noisy(Honest):
    """Honest, but errs with probability ``flips``.

    Errors are: of a pair the other image (of a tie, a drawn one); of the best another image; of a ranking two
    neighbours in the wrong order; of flags every box by itself.
    """

    flips: float = 0.1

    def answer(self, seen: Seen, numbers: np.random.Generator) -> Any:
        """The truth, or an error."""
        if seen.kind == "flag":
            ticked = np.array(seen.scores) < self.flawed
            return flags_of(seen, ticked ^ (numbers.random(ticked.shape) < self.flips))
        said = Honest.answer(self, seen, numbers)
        return wrong(said, seen, numbers) if numbers.random() < self.flips else said


@dataclass(frozen=True)
class LazyLeft:
    """Always takes the left image, leaves a ranking as it stands and flags nothing; fast."""

    seconds: float = 0.6

    def answer(self, seen: Seen, _: np.random.Generator) -> Any:
        """The answer with the fewest clicks."""
        images = range(len(seen.scores[0]))
        return {"rank": [*images], "flag": []}.get(seen.kind, 0)


@dataclass(frozen=True)
class Random:
    """Takes any answer that can be given, each with the same probability, in the time of an honest person."""

    seconds: float = 4.0

    def answer(self, seen: Seen, numbers: np.random.Generator) -> Any:
        """Any answer; a tie is one of the three answers to a pair."""
        images = len(seen.scores[0])
        if seen.kind == "flag":
            return flags_of(seen, numbers.random((len(seen.flags), images)) < 0.5)
        if seen.kind == "rank":
            return numbers.permutation(images).tolist()
        answers = [*range(images), TIE] if seen.kind == "pair" else [*range(images)]
        return answers[int(numbers.integers(len(answers)))]


def answer_all(
    client: Client, who: Person, judge: Judge, key: Sequence[draw.Key] = (), poll: float = 0.2, patience: float = 60.0
) -> list[Sent]:
    """Do task after task, question by question, until there are none; what was sent.

    Draws are keyed by ``key`` (the person's own), the number of tasks done before, and the question. Where a task may
    come later it is asked for every ``poll`` seconds. Raises `UserError` when no vote was possible for ``patience``
    seconds, and as `Client`.
    """
    sent: list[Sent] = []
    kept: dict[str, bytes] = {}
    view, last = client.task(), time.monotonic()
    while view.state not in ENDED:
        turn = _turn(client, view, kept, who, judge, key) if view.state == "task" else None
        if turn:
            vote, view = turn
            sent.append(vote)
            last = time.monotonic()
            continue
        if time.monotonic() > last + patience:
            raise UserError(f"{client.url}: has had no task for {patience:g} s ({view.state}); open the study again")
        time.sleep(poll)
        view = client.task()
    return sent


def decide(view: View, images: Sequence[bytes], who: Person, judge: Judge, key: Sequence[draw.Key]) -> Sent:
    """What the person says to the first question that is open."""
    assert view.kind is not None
    question = view.open[0].name
    pictures = [Image.open(io.BytesIO(image)).convert("RGB") for image in images]
    rows = view.flags if view.kind == "flag" else (question,)
    seen = Seen(view.kind, tuple(tuple(judge(row, view.prompt, pictures)) for row in rows), view.flags)
    numbers = draw.numbers(*key, "simulated", view.progress.done, question)
    answer = who.answer(seen, numbers)
    return Sent(view.token, question, answer, around(who.seconds, numbers), view.prompt, tuple(images))


def wrong(said: Any, seen: Seen, numbers: np.random.Generator) -> Any:
    """An answer that ``said``, to a pair, best or rank, is not: an error that a person may make."""
    images = len(seen.scores[0])
    if isinstance(said, list):
        place = int(numbers.integers(images - 1))
        return [*said[:place], said[place + 1], said[place], *said[place + 2 :]]
    others = [position for position in range(images) if position != said]
    return others[int(numbers.integers(len(others)))]


def flags_of(seen: Seen, ticked: np.ndarray[Any, np.dtype[np.bool_]]) -> list[list[int | str]]:
    """The boxes ``ticked`` [flags, images], as an answer."""
    return [[int(position), seen.flags[flag]] for position, flag in np.argwhere(ticked.T).tolist()]


def around(seconds: float, numbers: np.random.Generator) -> float:
    """A time whose median is ``seconds``, log-normal."""
    return float(seconds * np.exp(SPREAD * numbers.standard_normal()))


def _turn(
    client: Client, view: View, kept: dict[str, bytes], who: Person, judge: Judge, key: Sequence[draw.Key]
) -> tuple[Sent, View] | None:
    """A vote and what stands on the screen after it; None where the task has gone to others. ``kept`` are images."""
    for address in kept.keys() - {*view.images}:
        del kept[address]
    try:
        kept.update({address: client.image(address) for address in view.images if address not in kept})
        vote = decide(view, [kept[address] for address in view.images], who, judge, key)
        return vote, client.vote(vote.token, {vote.question: vote.answer}, vote.seconds)
    except Refused as refused:
        if refused.status not in GONE:
            raise
        return None
