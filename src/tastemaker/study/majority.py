"""What most raters say, and which model wins: majorities of duels, win rates, rates of flagged images.

A duel is two images of one item (`units.duels`). Its outcome is "a", "b", "tie", or None where no majority was reached;
the last is an outcome of its own, never a tie, and counts in no rate. The votes' own share stands beside each win rate,
so that nothing hangs on how majorities are made.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tastemaker.evaluate.winrate import Interval, wilson
from tastemaker.study.resample import Bootstrap, Floats, by_cluster, ratio
from tastemaker.study.units import Side, duels, flagged
from tastemaker.study.vote import Item, Vote

Said = TypeVar("Said", bound=Hashable)
WORTH = {"a": 1.0, "b": 0.0, "tie": 0.5}
ANY = "any"
"""The name of the flag that stands for "at least one"."""


@dataclass(frozen=True)
class Duel:
    """Two images of an item, by their places, and how many said what of them; ``outcome`` None is no majority."""

    item: int
    a: int
    b: int
    votes: Mapping[Side, int]
    outcome: Side | None

    @property
    def share(self) -> float:
        """The share of the votes that went to image a, ties counted ½."""
        return sum(WORTH[side] * votes for side, votes in self.votes.items()) / self.total

    @property
    def total(self) -> int:
        """The number of votes."""
        return sum(self.votes.values())


@dataclass(frozen=True)
class Rate:
    """A rate with Wilson's interval and the cluster bootstrap's over prompts; NaN where there is nothing to count.

    Wilson's takes outcomes as independent; where a prompt has several, believe the other.
    """

    value: float
    wilson_low: float
    wilson_high: float
    low: float
    high: float


@dataclass(frozen=True)
class WinRate:
    """How model ``a`` does against model ``b``, by majority; ``category`` None is all of them together.

    ``rate`` = (wins + ties/2)/(wins + ties + losses), ``decided`` = wins/(wins + losses), ``share`` the mean share of
    the votes (ties ½), which also counts the ``undecided`` duels, those without a majority.
    """

    a: str
    b: str
    category: str | None
    prompts: int
    wins: int
    ties: int
    losses: int
    undecided: int
    rate: Rate
    decided: Rate
    share: Interval


@dataclass(frozen=True)
class FlagRate:
    """The share of a model's images that most of their raters flag; ``flag`` may be `ANY`."""

    model: str
    flag: str
    category: str | None
    images: int
    flagged: int
    rate: Rate


def majority(votes: Mapping[Said, int], least: int = 3) -> Said | None:
    """The answer that more than half of the votes give, and at least ``least`` of them; None where there is none.

    The default is the majority of five raters (arXiv 2311.12908, section 5.1). A tie is an answer like any other. With
    votes missing ``least`` stays as it was, so that two of three who are left do not decide.
    """
    answer, most = max(votes.items(), key=lambda each: each[1], default=(None, 0))
    return answer if most >= least and 2 * most > sum(votes.values()) else None


def tally(items: Mapping[int, Item], votes: Iterable[Vote], least: int = 3) -> list[Duel]:
    """All duels of the last votes on one question, by item and places; one of which nobody says anything is left out.

    Items that only check the rater (`Item.measured`) are left out.
    """
    counts: dict[tuple[int, int, int], Counter[Side]] = {}
    for vote in votes:
        if items[vote.item].measured and vote.answer is not None:
            for a, b, side in duels(items[vote.item], vote.answer):
                counts.setdefault((vote.item, a, b), Counter())[side] += 1
    return [Duel(*place, counts[place], majority(counts[place], least)) for place in sorted(counts)]


def win_rates(
    items: Mapping[int, Item], found: Sequence[Duel], bootstrap: Bootstrap | None = None
) -> Iterator[WinRate]:
    """Of every two models that met: all duels, then each category that is named, sorted.

    The first of two models is the one that is first in the alphabet; duels within a model are left out.
    """
    bootstrap = bootstrap or Bootstrap()
    met: dict[tuple[str, str], list[tuple[Duel, bool]]] = {}
    for duel in found:
        one, two = (items[duel.item].images[place].model for place in (duel.a, duel.b))
        if one != two:
            met.setdefault((min(one, two), max(one, two)), []).append((duel, one > two))
    for (a, b), rows in sorted(met.items()):
        for category in _categories(items[duel.item] for duel, _ in rows):
            kept = [row for row in rows if category in (None, items[row[0].item].category)]
            yield _win_rate(a, b, category, [items[duel.item].prompt for duel, _ in kept], kept, bootstrap)


def flag_rates(
    items: Mapping[int, Item],
    votes: Sequence[Vote],
    flags: Sequence[str],
    least: int = 3,
    bootstrap: Bootstrap | None = None,
) -> Iterator[FlagRate]:
    """Of every model, flag (`ANY` first) and category how many images most raters flag; from one question's last votes.

    The majority is that of `majority`; an image on which there is none counts as not flagged.
    """
    bootstrap = bootstrap or Bootstrap()
    cast = [vote for vote in votes if items[vote.item].measured and items[vote.item].kind == "flag"]
    for flag in (ANY, *flags) if cast else ():
        flagged_by = _flagged_by(items, cast, flag)
        for model in sorted({model for _, model in flagged_by}):
            images = {item: sides for (item, of), sides in flagged_by.items() if of == model}
            for category in _categories(items[item] for item in images):
                kept = [item for item in images if category in (None, items[item].category)]
                hit = [majority(votes, least) is True for item in kept for votes in images[item].values()]
                prompts = [items[item].prompt for item in kept for _ in images[item]]
                yield FlagRate(
                    model, flag, category, len(hit), sum(hit), _rate(prompts, np.array(hit, float), bootstrap)
                )


def _flagged_by(
    items: Mapping[int, Item], votes: Sequence[Vote], flag: str
) -> dict[tuple[int, str], dict[int, Counter[bool]]]:
    """(item, model) → place → how many flag that image, and how many do not."""
    counts: dict[tuple[int, str], dict[int, Counter[bool]]] = {}
    for vote in votes:
        named = {place for place, name in flagged(vote.answer) if flag in (ANY, name)}
        for place, image in enumerate(items[vote.item].images):
            counts.setdefault((vote.item, image.model), {}).setdefault(place, Counter())[place in named] += 1
    return counts


def _categories(items: Iterable[Item]) -> list[str | None]:
    return [None, *sorted({item.category for item in items} - {""})]


def _win_rate(
    a: str,
    b: str,
    category: str | None,
    prompts: Sequence[str],
    rows: Sequence[tuple[Duel, bool]],
    bootstrap: Bootstrap,
) -> WinRate:
    """``rows`` are duels and whether model ``a`` made their second image, ``prompts`` those of the duels."""
    seen = [_seen(duel.outcome, swapped) for duel, swapped in rows]
    share = np.array([1 - duel.share if swapped else duel.share for duel, swapped in rows])
    worth = np.array([math.nan if side is None else WORTH[side] for side in seen])
    return WinRate(
        a,
        b,
        category,
        prompts=len(set(prompts)),
        wins=seen.count("a"),
        ties=seen.count("tie"),
        losses=seen.count("b"),
        undecided=seen.count(None),
        rate=_rate(prompts, worth, bootstrap),
        decided=_rate(prompts, np.where(worth == WORTH["tie"], math.nan, worth), bootstrap),
        share=bootstrap.interval(ratio, _columns(prompts, share)),
    )


def _seen(outcome: Side | None, swapped: bool) -> Side | None:
    turned: dict[Side | None, Side | None] = {"a": "b", "b": "a"}
    return turned.get(outcome, outcome) if swapped else outcome


def _rate(prompts: Sequence[str], worth: Floats, bootstrap: Bootstrap) -> Rate:
    """The mean of ``worth`` [n] without its NaN."""
    cluster = bootstrap.interval(ratio, _columns(prompts, worth))
    n = int(np.isfinite(worth).sum())
    single = wilson(cluster.value, n, bootstrap.confidence) if n else cluster
    return Rate(cluster.value, single.low, single.high, cluster.low, cluster.high)


def _columns(prompts: Sequence[str], worth: Floats) -> Floats:
    """By prompt the sum of what is known of ``worth`` [n], and how much is known."""
    known = np.isfinite(worth)
    return by_cluster(prompts, np.stack([np.where(known, worth, 0.0), known.astype(float)], 1))
