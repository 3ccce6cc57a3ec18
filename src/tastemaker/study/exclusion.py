"""Which raters are left out, by rules that were fixed before the study opened, and why.

Rules look at a rater's last votes. All but one look at the rater alone. `majority_agreement` compares with others, so
it comes second: the majority is that of the raters whom no other rule excludes, and never holds the rater's own vote.
It is asked once, not again after those it excludes are gone, which would peel off rater after rater until only the
like-minded are left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tastemaker.study.majority import majority
from tastemaker.study.rules import Rules
from tastemaker.study.units import Table, distance, named, tabulate
from tastemaker.study.vote import TIE, Answer, Item, Vote, last

SMALLEST = ("median_seconds", "majority_agreement", "few_votes")
"""The rules whose limit is the smallest figure allowed; of the others it is the largest."""
FEWEST_OTHERS = 2
"""So many others must say the same before a rater can disagree with them."""


@dataclass(frozen=True)
class Finding:
    """A rule that a rater broke: the figure, the limit, and the number of answers behind the figure."""

    rater: str
    rule: str
    value: float
    limit: float
    answers: int

    def __str__(self) -> str:
        """One line for people."""
        value, limit = (format(figure, ".3g") for figure in (self.value, self.limit))
        return f"{self.rater}: {self.rule} is {value} over {self.answers} answers; the limit is {limit}"


def exclusions(items: Iterable[Item], votes: Iterable[Vote], rules: Rules) -> list[Finding]:
    """Every rule that every rater broke, sorted by rater; a rater is excluded who has one or more.

    A share counts only with ``rules.evidence`` answers behind it. Nothing is excluded that is not listed here.
    """
    by_id, cast = {item.id: item for item in items}, last(votes)
    found = [finding for rater, own in by_rater(cast).items() for finding in _alone(by_id, rater, own, rules)]
    if rules.majority_agreement is not None:
        gone = {finding.rater for finding in found}
        for rater, agrees in with_others(by_id, cast, gone).items():
            value = _mean(agrees)
            if len(agrees) >= rules.evidence and value < rules.majority_agreement:
                found.append(Finding(rater, "majority_agreement", value, rules.majority_agreement, len(agrees)))
    return sorted(found, key=lambda finding: (finding.rater, finding.rule))


def kept(votes: Iterable[Vote], findings: Iterable[Finding]) -> list[Vote]:
    """The votes of the raters who are not excluded."""
    gone = {finding.rater for finding in findings}
    return [vote for vote in votes if vote.rater not in gone]


def by_rater(votes: Iterable[Vote]) -> dict[str, list[Vote]]:
    """The votes of each rater, raters in the order in which they first came up."""
    found: dict[str, list[Vote]] = {}
    for vote in votes:
        found.setdefault(vote.rater, []).append(vote)
    return found


def missed(items: Mapping[int, Item], votes: Sequence[Vote]) -> list[float]:
    """How far each answer to a gold item is from the expected one (`units.distance`)."""
    return [
        distance(items[vote.item], vote.answer, gold)
        for vote in votes
        if (gold := items[vote.item].gold) is not None and vote.answer is not None
    ]


def changed(items: Mapping[int, Item], votes: Sequence[Vote]) -> list[float]:
    """How far each answer to a repetition is from that to the item it repeats; a pair with one answer says nothing."""
    said = {(vote.item, vote.question): vote.answer for vote in votes}
    pairs = [
        (items[vote.item], vote.answer, said.get((original, vote.question)))
        for vote in votes
        if (original := items[vote.item].repeats) is not None
    ]
    return [distance(item, again, first) for item, again, first in pairs if again is not None and first is not None]


def sides(items: Mapping[int, Item], votes: Iterable[Vote]) -> Counter[int]:
    """How often the (first) choice stood first, second, … on the screen; ties and flags choose no side."""
    choices = ((vote, _choice(items[vote.item], vote.answer)) for vote in votes)
    return Counter(vote.shown.index(place) for vote, place in choices if place in vote.shown)


def with_others(items: Mapping[int, Item], votes: Sequence[Vote], gone: Iterable[str] = ()) -> dict[str, list[bool]]:
    """For each rater, unit by unit (`units.units`), whether the rater says what most others say.

    The others are those who are not ``gone``, less the rater; more than half of them must say the same, and
    `FEWEST_OTHERS` at the least. All units on which they do not are left out, and so are gold items and repetitions.
    """
    measured = [vote for vote in votes if items[vote.item].measured]
    found: dict[str, list[bool]] = {}
    outside, flags = set(gone), named(measured)
    for question in sorted({vote.question for vote in measured}):
        table = tabulate(items, [vote for vote in measured if vote.question == question], flags)
        for rater, agrees in _against(table, outside):
            found.setdefault(rater, []).append(agrees)
    return found


def _against(table: Table, gone: set[str]) -> Iterator[tuple[str, bool]]:
    for answers in table.values():
        inside = Counter(said for rater, said in answers.items() if rater not in gone)
        for rater, said in answers.items():
            others: Counter[Any] = inside - Counter([said]) if rater not in gone else inside
            most: Hashable = majority(others, FEWEST_OTHERS)
            if most is not None:
                yield rater, said == most


def _alone(items: Mapping[int, Item], rater: str, votes: Sequence[Vote], rules: Rules) -> Iterator[Finding]:
    """The rules that look at one rater's last votes."""
    far, again, side = missed(items, votes), changed(items, votes), sides(items, votes)
    figures = {
        "gold_missed": (_mean(far), len(far)),
        "self_disagreement": (_mean(again), len(again)),
        "median_seconds": (median(vote.seconds for vote in votes), len(votes)),
        "one_side": (max(side.values(), default=0) / max(1, side.total()), side.total()),
    }
    for rule, (value, answers) in figures.items():
        limit = getattr(rules, rule)
        if limit is not None and answers >= rules.evidence and _breaks(rule, value, limit):
            yield Finding(rater, rule, value, limit, answers)
    if rules.few_votes is not None and len(votes) < rules.few_votes:
        yield Finding(rater, "few_votes", len(votes), rules.few_votes, len(votes))


def _breaks(rule: str, value: float, limit: float) -> bool:
    return value < limit if rule in SMALLEST else value > limit


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def _choice(item: Item, answer: Answer | None) -> int | None:
    """The place of the image that was put first, if one was."""
    if item.kind == "flag" or answer in (None, TIE):
        return None
    first: Any = answer[0] if isinstance(answer, tuple) else answer
    return int(first)
