"""What lines against samples used say: where one peaks, whether it falls afterwards, whether one lies above another.

The highest of several checkpoints is highest by luck too, and the same luck would make the way from it to the end look
like a fall. So a seed's peak is looked for in the other seeds and on one half A of the prompts, and told of that seed
on the other half B:

    ĉ_s = argmax_c mean over S ∖ s and A of x_scn,   height_sn = x_{s ĉ_s n},   fall_sn = x_{s C n} − x_{s ĉ_s n}, n ∈ B

Two lines are compared on the seeds and at the numbers of pairs that both have. Intervals and p as in `results`, p after
Holm over all that is told of a kind beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tastemaker.base import draw
from tastemaker.base.files import read_json
from tastemaker.evaluate.holm import holm
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.results import ALPHA, MOST_SEEDS, SURE, Results, alike, crossed, p_value
from tastemaker.reproduce.runs import CURVE

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Places = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

FEWEST = 4
"""Prompts: a half of fewer has no variance."""


@dataclass(frozen=True)
class Line:
    """An arm at every checkpoint: judge → scores [seeds, checkpoints, prompts], after so many ``pairs`` each.

    Seeds with other checkpoints than most are ``left``.
    """

    seeds: tuple[int, ...] = ()
    left: tuple[int, ...] = ()
    pairs: tuple[int, ...] = ()
    scores: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def told(self) -> bool:
        """Whether there are seeds and prompts enough to say something of it."""
        return len(self.seeds) >= SURE and all(scores.shape[2] >= FEWEST for scores in self.scores.values())


@dataclass(frozen=True)
class Peak:
    """Of a line by a judge: ``places`` are the pairs at each seed's peak, ``after`` those by all seeds together."""

    judge: str
    after: int
    places: tuple[int, ...]
    height: Interval
    fall: Interval
    """From the peak to the end; below 0 where it falls."""
    p: float
    last: int
    """Pairs at the end."""

    @property
    def then(self) -> str:
        """What comes after the peak."""
        if min(self.places) == self.last:
            return "highest at the end"
        if self.p > ALPHA:
            return "the end is not distinguishable from it"
        return "falls" if self.fall.value < 0 else "rises again: not a peak"


@dataclass(frozen=True)
class Apart:
    """By how much one line lies above another by a judge after so many ``pairs``, or in the mean of all (None)."""

    judge: str
    pairs: int | None
    by: Interval
    p: float

    @property
    def every(self) -> bool:
        """Whether it is the mean of all checkpoints."""
        return self.pairs is None


def read(results: Results, arm: Arm) -> Line:
    """What is finished of an arm; scores are times the judge's scale."""
    import numpy as np

    shop = results.shop
    places = {seed: shop.place(arm, seed) / CURVE for seed in range(MOST_SEEDS)}
    found = {seed: read_json(place) for seed, place in places.items() if place.exists()}
    seeds, left = alike({seed: tuple(sorted(map(int, one))) for seed, one in found.items()})
    if not seeds:
        return Line()
    steps, most = sorted(map(int, found[seeds[0]])), shop.profile.budget(arm)  # the last step may be a part of one
    pairs = tuple(min(step * shop.pairs_a_step(arm.model), most) for step in steps)
    rows = [[found[seed][str(step)] for step in steps] for seed in seeds]
    raw = {judge: [[one[judge.name] for one in row] for row in rows] for judge in shop.profile.judges}
    scores = {judge.name: np.array(values, np.float64) * judge.scale for judge, values in raw.items()}
    return Line(tuple(seeds), tuple(left), pairs, scores)


def halves(prompts: int) -> tuple[Places, Places]:
    """Places of the prompts on which a peak is looked for, and of those on which it is told; the same for all lines."""
    mixed = draw.numbers("peak", prompts).permutation(prompts)
    return mixed[: prompts // 2], mixed[prompts // 2 :]


def highest(scores: Floats) -> int:
    """The checkpoint with the highest mean of [seeds, checkpoints, prompts] on the half where peaks are looked for."""
    return int(scores[..., halves(scores.shape[2])[0]].mean((0, 2)).argmax())


def peaks(lines: Sequence[Line]) -> list[list[Peak]]:
    """Of each line, judge by judge, p after Holm over all of them; nothing of lines with too little to tell."""
    found = [[peak(line, judge) for judge in line.scores] if line.told else [] for line in lines]
    adjusted = iter(holm([one.p for some in found for one in some]))
    return [[replace(one, p=next(adjusted)) for one in some] for some in found]


def peak(line: Line, judge: str) -> Peak:
    """The equations of the head of this file; ``p`` is not yet corrected."""
    import numpy as np

    scores = line.scores[judge]
    told = halves(scores.shape[2])[1]
    places = [highest(np.delete(scores, seed, 0)) for seed in range(len(scores))]
    height = np.array([one[place][told] for one, place in zip(scores, places, strict=True)])
    fall = scores[:, -1][:, told] - height
    at = tuple(line.pairs[place] for place in places)
    return Peak(judge, line.pairs[highest(scores)], at, crossed(height), crossed(fall), p_value(fall), line.pairs[-1])


def apart(one: Line, other: Line) -> list[Apart]:
    """``one`` − ``other`` judge by judge, first in the mean of all checkpoints; nothing where they share too few seeds.

    p of the means is after Holm over the judges, that of single checkpoints over all of these.
    """
    if not (one.told and other.told and len(set(one.seeds) & set(other.seeds)) >= SURE):
        return []
    found = [row for judge in one.scores for row in _apart(one, other, judge)]
    adjusted = {every: iter(holm([row.p for row in found if row.every == every])) for every in (True, False)}
    return [replace(row, p=next(adjusted[row.every])) for row in found]


def _apart(one: Line, other: Line, judge: str) -> Iterator[Apart]:
    pairs = [count for count in one.pairs if count in other.pairs]
    seeds = [seed for seed in one.seeds if seed in other.seeds]
    if not pairs:
        return
    d = _at(one, judge, seeds, pairs) - _at(other, judge, seeds, pairs)
    every = [(None, d.mean(1)), *((count, d[:, place]) for place, count in enumerate(pairs))]
    yield from (Apart(judge, count, crossed(some), p_value(some)) for count, some in every)


def _at(line: Line, judge: str, seeds: Sequence[int], pairs: Sequence[int]) -> Floats:
    rows = [line.seeds.index(seed) for seed in seeds]
    return line.scores[judge][rows][:, [line.pairs.index(count) for count in pairs]]
