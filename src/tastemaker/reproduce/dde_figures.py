"""DDE's figures (arXiv 2411.14871): credit against t, and beat ratios.

The drawings are those of `tastemaker credit`; here they become files beside the page, with every arm and seed.
Figures of this paper are described in words in our source: it prints no numbers for any of these.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import write_json
from tastemaker.evaluate.winrate import Interval, outcomes
from tastemaker.report.credit import Recorded
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import OfArms
from tastemaker.reproduce.output import finite, picture, save
from tastemaker.reproduce.results import MOST_SEEDS, SURE, Results, share
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of

if TYPE_CHECKING:
    import numpy as np

    from tastemaker.report.credit import Entry

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


SIGNS = ("effective, margin <= 0", "effective, margin > 0")
"""Of `report.credit_page.peaks`: pairs ordered wrongly, and rightly."""


@dataclass(frozen=True)
class Coefficients(OfArms):
    """What each arm gives to each step: weight, share at margin 0, and what its runs recorded (`exhibit.Exhibit`).

    The paper says of the arms called ``own`` that their credit peaks in the middle of the schedule.
    """

    own: tuple[str, ...] = ("DDE", "DDE-single")

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """One run of each arm: the weight is the recipe's, and more seeds are read where other exhibits make them."""
        yield from (shop.trained(arm, seeds[0]) for arm in self.arms)

    def write(self, results: Results, folder: Path) -> str:
        """Three pictures, of all finished seeds of each arm together, and in words what the curves do."""
        named = self.named.items()
        found = {label: some for label, arm in named if (some := entries_of(results, label, arm))}
        if not found:
            return ""
        from tastemaker.report import credit_figures as figures
        from tastemaker.report.credit_page import say_share, say_weight

        entries = [together(label, some) for label, some in found.items()]
        counted = [replace(one, name=f"{one.name}, seeds: {len(found[one.name])}") for one in entries]
        drawn = [figures.weights(entries), figures.shares(entries), figures.effective_credit(counted)]
        said = [say(entry) for say in (say_weight, say_share) for entry in entries]
        said += [say_effective(label, some) for label, some in found.items()]
        said += [say_middle(label, some) for label, some in found.items() if label in self.own]
        plain = {figure.name: dict(figure.data) for figure in drawn}
        write_json(folder / f"{self.key}.json", {"seeds": {label: len(some) for label, some in found.items()}, **plain})
        pictures = [picture(figure, folder, self.key) for figure in drawn]
        return "\n".join([f"### {self.title}", "", *pictures, *(f"- {line}" for line in said), ""])


def together(label: str, entries: Sequence[Entry]) -> Entry:
    """The runs of an arm's seeds as one: what they recorded is added up, the rest they have in common."""
    import numpy as np

    seen = [entry.recorded for entry in entries if entry.recorded is not None]
    added = Recorded(np.sum([one.pairs for one in seen], 0), np.sum([one.credit for one in seen], 0))
    return replace(entries[0], name=label, recorded=added)


def say_effective(label: str, entries: Sequence[Entry]) -> str:
    """Where the effective credit of pairs ordered wrongly and rightly is highest: of all seeds, and of each."""
    from tastemaker.report.credit_page import peaks

    added = together(label, entries)
    assert added.recorded is not None
    seen, tops = added.recorded.pairs.sum(1), [peaks(entry) for entry in (added, *entries)]
    wrong, right = ([one[sign] for one in tops if sign in one] for sign in SIGNS)
    if not wrong:
        return f"{label}: no pair was counted."
    return (
        f"{label} ({seen.sum():,.0f} pairs of {len(entries)} seeds, {seen[1] / seen.sum():.0%} ordered rightly): the "
        f"effective credit is highest at {_place(wrong)} for pairs ordered wrongly and {_place(right)} for those "
        "ordered rightly."
    )


def say_middle(label: str, entries: Sequence[Entry]) -> str:
    """In how many seeds the credit of pairs ordered rightly peaks where the paper says."""
    from tastemaker.report.credit_page import MIDDLE

    low, high = MIDDLE
    says = f"{label}: the paper says that the credit of its method peaks in the middle of the schedule"
    if len(entries) < SURE:
        return f"{says}: too few seeds ({len(entries)}) to say whether it does here."
    found = Counter(where(entry) for entry in entries)
    return (
        f"{says}. Of {len(entries)} seeds it does in {found['middle']} ({low:g} to {high:g} T, pairs ordered rightly), "
        f"peaks elsewhere in {found['elsewhere']} and has no clear peak in {found['nowhere']}."
    )


def where(entry: Entry) -> str:
    """Whether the effective credit of pairs ordered rightly peaks in the ``middle``, ``elsewhere`` or ``nowhere``."""
    from tastemaker.report.credit import effective
    from tastemaker.report.credit_figures import BINS
    from tastemaker.report.credit_page import FLAT, MIDDLE, peaks

    assert entry.recorded is not None
    curve = effective(entry.recorded, BINS)[1]
    if not curve.any() or curve.max() < FLAT * curve.mean():  # some part of a flat one is highest by chance
        return "nowhere"
    return "middle" if MIDDLE[0] <= peaks(entry)[SIGNS[1]] <= MIDDLE[1] else "elsewhere"


def _place(tops: Sequence[float]) -> str:
    """That of all seeds together, and from which to which those of single seeds reach."""
    low, high = min(tops[1:]), max(tops[1:])
    return f"{tops[0]:.2f} T" + (f" (seeds: {low:.2f} to {high:.2f})" if low != high else "")


@dataclass(frozen=True)
class Beats(OfArms):
    """Share of prompts on which an arm beats the base, by every judge, ties ½ (`exhibit.Exhibit`)."""

    def write(self, results: Results, folder: Path) -> str:
        """The picture, the table behind it, and `<key>.json`."""
        if not results.shop.base(self.model).done:
            return ""
        judges = [judge.name for judge in results.shop.profile.judges]
        found = {
            label: {judge: beat(results, arm, judge) for judge in judges}
            for label, arm in self.named.items()
            if results.seeds_of(arm)
        }
        if not found:
            return ""
        counts = {label: len(results.seeds_of(arm)) for label, arm in self.named.items()}
        plain = {label: {judge: asdict(rate) for judge, rate in rates.items()} for label, rates in found.items()}
        write_json(folder / f"{self.key}.json", {"seeds": counts, "beats": finite(plain)})
        legend = {f"{label}, seeds: {counts[label]}": rates for label, rates in found.items()}
        draw_beats(legend, folder / f"{self.key}.png")
        rows = [["", "seeds", *judges]]
        rows += [
            [name, str(counts[name]), *(interval(r, ".3f") for r in rates.values())] for name, rates in found.items()
        ]
        said = (
            "Share of the prompts on which the arm beats the base, ties ½; 95 % over seeds and prompts, not corrected "
            "for their number. One seed has no interval."
        )
        return "\n".join([f"### {self.title}", "", f"![{said}]({self.key}.png)", "", said, "", *rows_of(rows), ""])


def beat(results: Results, arm: Arm, judge: str) -> Interval:
    """The beat ratio of an arm against the base by ``judge``."""
    d = results.difference(arm, None, judge)
    return share(outcomes(d.ravel(), results.shop.profile.judge(judge).epsilon).reshape(d.shape))


def entries_of(results: Results, label: str, arm: Arm) -> list[Entry]:
    """Every finished run of ``arm`` as `tastemaker credit` reads it, called by ``label`` and seed."""
    from tastemaker.report.credit import from_run

    seeds = [seed for seed in range(MOST_SEEDS) if (results.shop.place(arm, seed) / "run" / "summary.json").exists()]
    return [replace(from_run(results.shop.place(arm, seed) / "run"), name=f"{label}, seed {seed}") for seed in seeds]


def draw_beats(found: dict[str, dict[str, Interval]], path: Path) -> None:
    """A group of points with intervals for each judge."""
    from matplotlib.figure import Figure as Canvas

    judges = list(next(iter(found.values())))
    canvas = Canvas(figsize=(2.2 + 1.6 * len(judges), 3.2), layout="constrained", dpi=110)
    axes = canvas.subplots()
    for place, (label, rates) in enumerate(found.items()):
        x = [number + 0.8 * (place + 0.5) / len(found) - 0.4 for number in range(len(judges))]
        half = [0.0 if math.isinf(rate.low) else rate.high - rate.value for rate in rates.values()]
        low = [0.0 if math.isinf(rate.low) else rate.value - rate.low for rate in rates.values()]
        axes.errorbar(x, [rate.value for rate in rates.values()], [low, half], fmt="o", capsize=2, label=label)
    axes.axhline(0.5, color="#8a8a8a", linewidth=0.8)
    axes.set(xticks=range(len(judges)), ylabel="beats the base", ylim=(0, 1))
    axes.set_xticklabels(judges)
    axes.legend(fontsize=7, ncol=2)
    save(canvas, path)
