"""What majorities of raters say of DPO-QSD against DPO, over several studies: a study a seed of the training.

    w_sn = 1 where most raters prefer QSD's image, 0 where DPO's, ½ at a tie or where all have voted without a majority

of seed s and prompt n. Seeds and prompts are the sources of chance (`results.crossed`); raters and pairs of one prompt
hang together, so they are never counted as independent. One study says something of its two models alone: its interval
is Wilson's over the prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tastemaker.evaluate.winrate import Interval, wilson
from tastemaker.reproduce.results import crossed, p_value, share
from tastemaker.reproduce.study_simulated import RATERS

if TYPE_CHECKING:
    import numpy as np

    from tastemaker.study.majority import Duel
    from tastemaker.study.vote import Item, Vote

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

QSD, DPO, TIE, NONE = "DPO-QSD", "DPO", "tie", "no majority"
OUTCOMES = (QSD, TIE, DPO, NONE)
WORTH = {QSD: 1.0, TIE: 0.5, DPO: 0.0, NONE: 0.5}
LEAST = 3
"""Votes of a majority."""
Cast = tuple["tuple[Item, ...]", "list[Vote]"]
"""Items of a study, and the votes on them."""


@dataclass(frozen=True)
class Majority:
    """What most raters say of a pair of images: one of `OUTCOMES`."""

    prompt: str
    category: str
    outcome: str


@dataclass(frozen=True)
class Answers:
    """What one question got: the majorities of each study."""

    question: str
    studies: tuple[tuple[Majority, ...], ...]

    @property
    def counts(self) -> dict[str, int]:
        """Outcome → pairs of all studies."""
        found = Counter(each.outcome for study in self.studies for each in study)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def decided(self) -> float:
        """Share of QSD among the pairs that prefer one side; NaN where none does."""
        counts = self.counts
        either = counts[QSD] + counts[DPO]
        return counts[QSD] / either if either else float("nan")

    @property
    def of_each(self) -> list[float]:
        """Mean of w of each study."""
        return [float(mean) for mean in self.worth().mean(1)]

    @property
    def categories(self) -> list[str]:
        """Those that are named, sorted."""
        return sorted({each.category for study in self.studies for each in study} - {""})

    def worth(self, category: str | None = None) -> Floats:
        """w of the head of this file [seeds, prompts], over the prompts on which every study has an outcome."""
        import numpy as np

        tables = [_by_prompt(each for each in study if category in (None, each.category)) for study in self.studies]
        common = [prompt for prompt in tables[0] if all(prompt in table for table in tables)]
        return np.array([[table[prompt] for prompt in common] for table in tables], np.float64)


def answers(question: str, cast: Sequence[Cast]) -> Answers:
    """The majorities on ``question`` of each study; a pair that still waits for votes has none yet."""
    return Answers(question, tuple(tuple(majorities(question, *each)) for each in cast))


def majorities(question: str, items: Sequence[Item], votes: Iterable[Vote]) -> list[Majority]:
    """The majorities of one study by item; left out are pairs that have neither a majority nor all votes."""
    from tastemaker.study.majority import tally
    from tastemaker.study.vote import last

    known = {item.id: item for item in items}
    duels = tally(known, last(vote for vote in votes if vote.question == question), LEAST)
    return [_majority(known[duel.item], duel) for duel in duels if duel.outcome or duel.total >= RATERS]


def preferred(worth: Floats) -> Interval:
    """Mean of ``worth`` [S, N], N ≥ 1, with its 95 % interval: of several studies `results.share`, of one Wilson's."""
    return share(worth) if len(worth) > 1 else wilson(float(worth.mean()), worth.shape[1])


def p_half(worth: Floats) -> float:
    """Two-sided p of "the mean of ``worth`` is ½", by the statistic of `preferred`'s interval.

    Of one study, and where nothing varies, that is the score test of Wilson's: z = (w̄ − ½)/√(¼/N).
    """
    from scipy import stats

    spread = crossed(worth)
    if len(worth) > 1 and spread.low < spread.high:
        return p_value(worth - 0.5)
    return float(2 * stats.norm.sf(abs(float(worth.mean()) - 0.5) * 2 * worth.shape[1] ** 0.5))


def _majority(item: Item, duel: Duel) -> Majority:
    model = {"a": item.images[duel.a].model, "b": item.images[duel.b].model, "tie": TIE, None: NONE}
    return Majority(item.prompt, item.category, model[duel.outcome])


def _by_prompt(some: Iterable[Majority]) -> dict[str, float]:
    """Prompt → mean worth of its pairs."""
    found: dict[str, list[float]] = {}
    for each in some:
        found.setdefault(each.prompt, []).append(WORTH[each.outcome])
    return {prompt: sum(worth) / len(worth) for prompt, worth in found.items()}
