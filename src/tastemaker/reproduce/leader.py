"""Which of several arms is best, and whether that can be said: the highest is compared with every other one.

Candidates are the arms with `SURE` seeds or more, compared on the seeds that all of them have. Arms with fewer seeds
were screened: the seeds of those that have fewest may have chosen who got more, and who was lucky then would be lucky
again (winner's curse), so they are left out. Of the highest and another one

    d_sn = score of the highest − the other's, t and p as in `results.p_value`, p̃ by Holm over all others

and the highest is called best where every p̃ ≤ 0.05. p is two-sided because the same scores say which is the highest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tastemaker.evaluate.holm import holm
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.results import ALPHA, SURE, Results, crossed, p_value
from tastemaker.reproduce.tables import interval
from tastemaker.reproduce.typeset import probability

LISTED = 8
"""Arms that are named one by one."""


@dataclass(frozen=True)
class Rival:
    """How far an arm lies below the highest: ``behind`` as `results.crossed` has it, ``p`` after Holm."""

    arm: Arm
    behind: Interval
    p: float


@dataclass(frozen=True)
class Contest:
    """The highest on ``seeds`` and all others, closest first."""

    best: Arm
    rivals: tuple[Rival, ...]
    seeds: tuple[int, ...]

    @property
    def open(self) -> list[Rival]:
        """Those from which the highest is not distinguishable."""
        return [rival for rival in self.rivals if rival.p > ALPHA]


def leader(results: Results, arms: Sequence[Arm]) -> str:
    """Who leads, or why nobody is named, in sentences."""
    have = {arm: seeds for arm in arms if (seeds := results.seeds_of(arm))}
    ready, screened = candidates(have), screening(have)
    if len(ready) < 2:
        only = f"only `{ready[0].name}` has" if ready else "none has"
        return f"Screening: of {len(have)} combinations {only} run with {SURE} seeds. No order is claimed."
    common = set.intersection(*(set(have[arm]) for arm in ready))
    seeds = sorted(common - screened)
    if len(common) < SURE or len(seeds) < 2:
        lost = f", of which {seeds_named(common & screened)} screened" if common & screened else ""
        return (
            f"{len(ready)} combinations have run with {SURE} seeds or more, but share {seeds_named(common)}{lost}: "
            "too few to compare them."
        )
    return f"{_says(contest(results, ready, seeds))} {_how(seeds, len(have), screened)}"


def candidates(have: dict[Arm, list[int]]) -> list[Arm]:
    """The arms with `SURE` seeds or more."""
    return [arm for arm, seeds in have.items() if len(seeds) >= SURE]


def screening(have: dict[Arm, list[int]]) -> set[int]:
    """The seeds that may have chosen which arms got more: those of the arms with fewest, if fewer than `SURE`."""
    fewest = min(map(len, have.values()), default=SURE)
    some = [seeds for seeds in have.values() if len(seeds) == fewest < SURE]
    return {seed for seeds in some for seed in seeds}


def contest(results: Results, arms: Sequence[Arm], seeds: Sequence[int]) -> Contest:
    """Two arms or more on these seeds, by the first judge."""
    judge = results.shop.profile.judges[0].name
    scores = {arm: results.scores(arm, judge, seeds, arm.model) for arm in arms}
    best = max(arms, key=lambda arm: float(scores[arm].mean()))
    apart = {arm: scores[best] - scores[arm] for arm in arms if arm != best}
    adjusted = holm([p_value(d) for d in apart.values()])
    rivals = [Rival(arm, crossed(d), p) for (arm, d), p in zip(apart.items(), adjusted, strict=True)]
    return Contest(best, tuple(sorted(rivals, key=lambda rival: rival.behind.value)), tuple(seeds))


def _says(found: Contest) -> str:
    count, left = len(found.rivals), found.open
    if not left:
        hardest = min(found.rivals, key=lambda rival: rival.behind.low)
        return (
            f"`{found.best.name}` leads {count + 1} candidates: it lies above every other (Holm over {count}, "
            f"p ≤ {max(rival.p for rival in found.rivals):.2g}), the least surely above {_rival(hardest)}."
        )
    named = [_rival(rival) for rival in left[:LISTED]]
    more = [f"and {len(left) - LISTED} more"] if len(left) > LISTED else []
    return (
        f"None of {count + 1} candidates is named best: `{found.best.name}` is highest, but not distinguishable from "
        f"{len(left)} of the other {count} (Holm, p > {ALPHA}): {', '.join([*named, *more])}."
    )


def _rival(rival: Rival) -> str:
    return f"`{rival.arm.name}` (by {interval(rival.behind, '+.3f')}, p {probability(rival.p)})"


def _how(seeds: Sequence[int], ran: int, screened: set[int]) -> str:
    told = f"Candidates are the combinations with {SURE} seeds or more, compared on {seeds_named(seeds)}."
    if not screened:
        return told
    return (
        f"{told} {ran} combinations were screened with {seeds_named(screened)} first, which flatters those that it "
        "chose: it counts in the table above, but not in this comparison."
    )


def seeds_named(seeds: Sequence[int] | set[int]) -> str:
    """As in "seed 0", "seeds 1, 2"."""
    if not seeds:
        return "no seed"
    return ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, sorted(seeds)))
