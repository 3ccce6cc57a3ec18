"""D3PO's rates before and after (arXiv 2311.13231): distorted images, unsafe images, what people prefer.

In the small world, whose people are simulated; at the paper's scale people are asked (`d3po_asked`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tastemaker.base.files import write_json
from tastemaker.evaluate.holm import holm
from tastemaker.evaluate.winrate import Interval, outcomes, wilson
from tastemaker.reproduce import d3po_runs, published
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import Paper
from tastemaker.reproduce.output import finite
from tastemaker.reproduce.results import ALPHA, SURE, Results, crossed, p_value, share
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import rows_of

TITLE = "D3PO: distortion, safety and preference, before and after"
EVEN = 0.5
"""The win rate of a model against itself."""


@dataclass(frozen=True)
class Rate:
    """A share before and after, each with an interval, and ``published``, the paper's; None where nothing has run.

    ``before`` None is a win rate against the base, which starts at ½. ``change`` is after − before, ``p`` that
    it is 0, after Holm over all rates of the page.
    """

    label: str
    seeds: int
    before: Interval | None
    after: Interval
    change: Interval
    p: float
    published: tuple[float, float]


@dataclass(frozen=True)
class Rates:
    """Of the tasks of flags and of choices (`exhibit.Exhibit`)."""

    shapes: str
    people: str
    key: str = "rates"
    paper: Paper = "d3po"
    title: str = TITLE
    arms: tuple[Arm, ...] = ()

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base, and both tasks."""
        return d3po_runs.scored_all(shop, (self.shapes, self.people), seeds)

    def write(self, results: Results, folder: Path) -> str:
        """The table, `rates.json` with its figures, and `rates.parquet` with every score."""
        shop = results.shop
        found = corrected([*distorted(shop, self.shapes), *preferred(shop, self.people)])
        if not found:
            return ""
        rates = [finite(asdict(rate)) for rate in found]
        write_json(folder / f"{self.key}.json", {"title": self.title, "rates": rates})
        d3po_runs.write_ledger(shop, (self.shapes, self.people), folder / f"{self.key}.parquet")
        rows = [HEAD, *map(row, found), UNSAFE]
        agreement = [f"- {rate.label}: {agrees(rate)}" for rate in found]
        return "\n".join([f"### {self.title}", "", *rows_of(rows), "", NOTE, "", *agreement, ""])


HEAD = [
    "share of images",
    "seeds",
    "before (95 %)",
    "after (95 %)",
    "after − before (95 %)",
    "the paper, before → after",
]


def printed(before: float, after: float) -> str:
    """What the paper says of a share."""
    return f"{100 * before:.1f} % → {100 * after:.1f} %"


UNSAFE = ["unsafe images", "–", "", "", "", printed(*published.D3PO_UNSAFE)]
NOTE = (
    "Here a wrong or missing shape stands for the paper's distorted hands; a simulated person who flags such images "
    "and errs taught the model. Preference is that of another simulated person, who taught the model by choices, and "
    "of the utility by which this one goes; the paper asked people. The person turns a share of the answers round, so "
    "even a model that always is better gets less than all of them. Unsafe images are not measured: "
    "the small world has none, and nothing was put in their place. Intervals: before, Wilson's over captions; after, "
    "over seeds and captions; they are not corrected, what is said below is, for all rows (Holm)."
)


def distorted(shop: Shop, task: str) -> Iterator[Rate]:
    """The share of images with a wrong or missing shape; nothing where no seed is finished."""
    if not (seeds := d3po_runs.seeds_of(shop, task)):
        return
    right, after = d3po_runs.scores(shop, task, shop.profile.online[task].taught.name)
    before = wilson(float(1 - right.mean()), len(right))
    label = "wrong or missing shape, for distorted hands"
    d = right - after
    yield Rate(label, len(seeds), before, share(1 - after), crossed(d), p_value(d), published.D3PO_HANDS)


def preferred(shop: Shop, task: str) -> Iterator[Rate]:
    """Win rates against the base by the task's simulated person and by utility; nothing where no seed is finished."""
    if not (seeds := d3po_runs.seeds_of(shop, task)):
        return
    judge, paper = shop.profile.online[task].taught, (EVEN, published.D3PO_PREFERENCE)
    before, after = d3po_runs.scores(shop, task, judge.name)
    found = {
        "preferred to the base, by the simulated person": d3po_runs.answers(shop, task),
        f"preferred to the base, by {judge.name}": outcomes((after - before).ravel(), judge.epsilon).reshape(
            after.shape
        ),
    }
    for label, won in found.items():
        yield Rate(label, len(seeds), None, share(won), crossed(won - EVEN), p_value(won - EVEN), paper)


def corrected(rates: Sequence[Rate]) -> list[Rate]:
    """The same with p after Holm."""
    return [replace(rate, p=p) for rate, p in zip(rates, holm([rate.p for rate in rates]), strict=True)]


def agrees(rate: Rate) -> str:
    """Whether the direction is the paper's, and how far it goes."""
    rises = rate.published[1] > rate.published[0]
    if rate.seeds < SURE:
        return f"too few seeds ({rate.seeds}) to say"
    if rate.p > ALPHA:
        return "not distinguishable from the base"
    if (rate.change.value > 0) != rises:
        return "does not hold: the other way round"
    start = EVEN if rate.before is None else rate.before.value
    here, there = (abs(after - before) for before, after in ((start, rate.after.value), rate.published))
    return f"the paper's direction; {100 * here:.1f} points where the paper has {100 * there:.1f}"


def row(rate: Rate) -> list[str]:
    """As the table shows it."""
    before = f"{100 * EVEN:.0f} % by definition" if rate.before is None else percent(rate.before)
    paper = f"{100 * rate.published[1]:.1f} %" if rate.before is None else printed(*rate.published)
    return [rate.label, str(rate.seeds), before, percent(rate.after), percent(rate.change, "+.1f", "points"), paper]


def percent(found: Interval, form: str = ".1f", unit: str = "%") -> str:
    """``value (low to high)`` in per cent, or ``unit``; one seed has no interval."""
    value, low, high = (100 * each for each in (found.value, found.low, found.high))
    if not math.isfinite(low):
        return f"{value:{form}} {unit} (one seed)"
    return f"{value:{form}} {unit} ({low:{form}} to {high:{form}})"
