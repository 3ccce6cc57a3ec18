"""What an answer says, taken apart: the smallest questions on which two raters agree or do not.

A choice of one image is one such unit. A ranking is one for every two images (which stands ahead), a list of flags one
for every image and flag (named or not).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

from tastemaker.study.vote import TIE, Answer, Item, Vote

Unit = tuple[int | str, ...]
"""What is asked, within one item."""
Side = Literal["a", "b", "tie"]
Table = dict[tuple[int, Unit], dict[str, Any]]
"""(item, unit) → rater → what the rater says of it."""


def units(item: Item, answer: Answer, flags: Sequence[str] = ()) -> Iterator[tuple[Unit, Any]]:
    """The units of ``item`` and what ``answer`` says of each; ``flags`` are all that could have been named."""
    if item.kind == "rank":
        yield from (((a, b), side) for a, b, side in duels(item, answer))
    elif item.kind == "flag":
        yield from (((place, flag), (place, flag) in flagged(answer)) for place in _places(item) for flag in flags)
    else:
        yield (), answer


def duels(item: Item, answer: Answer) -> Iterator[tuple[int, int, Side]]:
    """Places a < b and which of the two images the answer puts ahead; two of which it says nothing are left out.

    The best of K wins against the K − 1 others, of which nothing more is known. Flags are no duels.
    """
    if item.kind == "flag":
        return
    ahead = {place: number for number, place in enumerate(answer)} if isinstance(answer, tuple) else {answer: 0}
    for a, b in combinations(_places(item), 2):
        if answer == TIE:
            yield a, b, TIE
        elif a in ahead or b in ahead:
            yield a, b, "a" if ahead.get(a, len(item.images)) < ahead.get(b, len(item.images)) else "b"


def places(item: Item, answer: Answer) -> Iterator[tuple[Unit, int]]:
    """Image by image the rank that a ranking gives it, 0 the best: what ordinal agreement is measured on."""
    assert isinstance(answer, tuple), f"item {item.id} is no ranking"
    yield from (((place,), answer.index(place)) for place in _places(item))


def flagged(answer: Answer | None) -> frozenset[tuple[int, str]]:
    """The (place, flag) pairs of an answer; none of one that flags nothing or is to another kind of task."""
    return frozenset(each for each in (answer if isinstance(answer, tuple) else ()) if isinstance(each, tuple))


def distance(item: Item, one: Answer, other: Answer) -> float:
    """How far two answers to the same images are apart, 0 the same, 1 wholly different.

    Of choices 0 or 1; of rankings the share of pairs in the other order (Kendall's distance); of flags the share not
    named by both among those named by either (Jaccard's).
    """
    if item.kind == "flag":
        either = flagged(one) | flagged(other)
        return len(flagged(one) ^ flagged(other)) / len(either) if either else 0.0
    pairs = list(zip(units(item, one), units(item, other), strict=True))
    return sum(said != also for said, also in pairs) / len(pairs)


def tabulate(items: Mapping[int, Item], votes: Iterable[Vote], flags: Sequence[str] = ()) -> Table:
    """Who says what of every unit, from the last votes (`vote.last`) on one question."""
    table: Table = defaultdict(dict)
    for vote in votes:
        assert vote.answer is not None
        for unit, said in units(items[vote.item], vote.answer, flags):
            table[vote.item, unit][vote.rater] = said
    return dict(table)


def named(votes: Iterable[Vote]) -> list[str]:
    """All flags that somebody named, sorted."""
    return sorted({each[1] for vote in votes for each in flagged(vote.answer)})


def _places(item: Item) -> range:
    return range(len(item.images))
