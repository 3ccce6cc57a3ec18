"""What each set of pairs, loss and credit does on average over the rest of the heat map.

    mean over cells of (score − base), on the seeds that all cells have

Only combinations of loss and credit that have run with every set count, and rows that stand below each other are means
of the same, so that like is compared with like. There are no intervals: cells share prompts, seeds and pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

Combination = tuple[str, str]
"""Loss and credit."""
Complete = Mapping[Combination, Mapping[str, float]]
"""Differences to the base by set."""


def complete(differences: Mapping[tuple[str, str, str], float], sets: Sequence[str]) -> Complete:
    """The combinations of ``differences``, (set, loss, credit) → value, that have run with each of ``sets``."""
    combinations = dict.fromkeys(key[1:] for key in differences)
    return {
        (loss, credit): {name: differences[name, loss, credit] for name in sets}
        for loss, credit in combinations
        if all((name, loss, credit) in differences for name in sets)
    }


def rows(combinations: Complete, sets: Sequence[str], of: str) -> list[list[str]]:
    """Means of each set over all combinations, of each loss and of each credit, below a head that says ``of`` what.

    Of a loss those credits count that every loss has run with, and of a credit the losses that every credit has.
    """
    found = [("every combination", list(combinations.values())), *_of(combinations, 0), *_of(combinations, 1)]
    return [[of, *sets, "combinations"], *([name, *_means(each, sets), str(len(each))] for name, each in found)]


def contrast(combinations: Complete, one: str, other: str) -> str:
    """In how many combinations ``one`` lies above ``other``, and by how much on average."""
    apart = [values[one] - values[other] for values in combinations.values()]
    above = sum(value > 0 for value in apart)
    return f"{one} lies above {other} in {above} of {len(apart)} combinations, by {fmean(apart):+.3f} on average"


def _of(combinations: Complete, place: int) -> list[tuple[str, list[Mapping[str, float]]]]:
    """Each loss (``place`` 0) or credit (1) with the combinations of it that all have; nothing where there are none."""
    by_name: dict[str, dict[str, Mapping[str, float]]] = {}
    for key, values in sorted(combinations.items()):
        by_name.setdefault(key[place], {})[key[1 - place]] = values
    common = set.intersection(*map(set, by_name.values()))
    found = [(name, [values for other, values in each.items() if other in common]) for name, each in by_name.items()]
    return found if common else []


def _means(values: Sequence[Mapping[str, float]], sets: Sequence[str]) -> list[str]:
    return [f"{fmean(each[name] for each in values):+.3f}" for name in sets]
