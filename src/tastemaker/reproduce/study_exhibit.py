"""QSD's figure 5: blind judgements of images of DPO against those of DPO-QSD; three questions, five raters, majority.

In the small world nobody is asked: raters are simulated (`study_simulated`), and every line says so. Elsewhere people
are asked: the stage makes the study, the page says how to open it, and the votes are read when they are there.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import read_json, write_json
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce import published
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import Paper
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.results import MOST_SEEDS, Results, reading
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.study_simulated import (
    FLIPS,
    PROMPTS,
    QUESTIONS,
    RATERS,
    TIES,
    categories,
    make,
    simulate,
    worth,
)
from tastemaker.reproduce.tables import interval, rows_of
from tastemaker.world.assets import BASE_MODEL

if TYPE_CHECKING:
    from tastemaker.study.majority import Rate, WinRate
    from tastemaker.study.results import Findings
    from tastemaker.study.results import Results as Votes
    from tastemaker.study.vote import Item, Vote

QSD, DPO = "DPO-QSD", "DPO"
LEAST = 3
"""Votes of a majority."""
ANSWER_SECONDS = 0.01
"""Of one simulated answer, for the list of costs."""
VOTES, STUDY, DESIGN, DATABASE = "study-votes.json", "study", "study.json", "study.sqlite"
Cast = tuple["tuple[Item, ...]", "list[Vote]"]
"""Items of a study, and the votes on them."""


@dataclass(frozen=True)
class Study:
    """Share of the majorities that prefer QSD, by question (`exhibit.Exhibit`); ``simulated``: no people are asked."""

    key: str
    paper: Paper
    title: str
    model: str
    baseline: Arm
    chosen: Arm
    simulated: bool

    @property
    def arms(self) -> list[Arm]:
        """Both."""
        return [self.baseline, self.chosen]

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """A study of each seed's images; people are asked about the first seed alone."""
        yield from (self.asked(shop, seed) for seed in (seeds if self.simulated else seeds[:1]))

    def asked(self, shop: Shop, seed: int) -> Stage:
        """The study of a seed: made, and with simulated raters answered."""
        needs = tuple(shop.scored(arm, seed) for arm in self.arms)
        place = shop.place(self.chosen, seed)
        folders = {DPO: shop.place(self.baseline, seed) / "images", QSD: place / "images"}
        name = f"study {self.chosen.name} seed {seed}"
        if not self.simulated:
            return Stage(
                name, "make a study", place / STUDY / DESIGN, lambda: make(place / STUDY, folders, {}), 5, needs
            )
        seconds = PROMPTS * RATERS * len(QUESTIONS) * ANSWER_SECONDS

        def answer() -> None:
            shutil.rmtree(place / STUDY, ignore_errors=True)  # a killed one is begun again: nobody's time is lost
            design = make(place / STUDY, folders, categories(shop.profile.test()))
            votes = simulate(place / STUDY, worth(shop.build, place / STUDY, design), seed)
            write_json(place / VOTES, [asdict(vote) for vote in votes])

        return Stage(name, "simulated study", place / VOTES, answer, seconds, needs)

    def write(self, results: Results, folder: Path) -> str:
        """The shares with intervals, agreement, the paper's figures beside them; or how to ask people."""
        cast = self._cast(results.shop)
        if not cast:
            return self._invitation(results.shop)
        from tastemaker.study.results import to_json

        found, single = pooled(cast), [pooled([each]) for each in cast]
        write_json(folder / f"{self.key}.json", {"simulated raters": self.simulated, **to_json(found)})
        lines = [f"### {self._heading}", "", self._said(found, len(cast)), "", *rows_of(list(_rows(found, single))), ""]
        grouped = list(_category_rows(found))
        return "\n".join([*lines, *(rows_of(grouped) if len(grouped) > 1 else []), ""])

    @property
    def _heading(self) -> str:
        return f"{self.title}; simulated raters, no people" if self.simulated else self.title

    def _said(self, found: Votes, studies: int) -> str:
        who = f"{found.raters} {'simulated raters' if self.simulated else 'people'}"
        how = (
            "Simulated: preference by true utility, alignment by correctness, appeal by size as JPEG (a stand-in, not "
            f"a taste); ties within {TIES['preference']}, 0 and {TIES['appeal']} kB; {FLIPS:.0%} of the answers are "
            "errors. "
            if self.simulated
            else ""
        )
        pairs = found.after[0].items // studies
        called = "studies, a seed each" if studies > 1 else "study"
        return (
            f"{how}{pairs} pairs (the paper: {PROMPTS}), {found.counted} votes of {who} in {studies} {called}; "
            f"{RATERS} a pair, a majority is {LEAST}. Rates count majorities for QSD, ties ½; those without a majority "
            "are left out. Wilson takes pairs as independent, the bootstrap draws prompts. Whether a rate is above ½ "
            "goes by the wider of the bootstrap and the exact binomial interval of the pairs without a tie."
        )

    def _invitation(self, shop: Shop) -> str:
        """Where a study for people stands and nobody has voted yet."""
        places = [shop.place(self.chosen, seed) / STUDY for seed in range(MOST_SEEDS)]
        ready = [place for place in places if (place / DESIGN).exists()]
        if self.simulated or not ready:
            return ""
        command = f"tastemaker study invite {ready[0]} --count {RATERS}` and `tastemaker study serve {ready[0]}"
        return (
            f"### {self.title}\n\nNobody has voted yet. `{command}` open it; run `reproduce` again when it is done.\n"
        )

    def _cast(self, shop: Shop) -> list[Cast]:
        """Items and votes of every study that has votes."""
        places = [shop.place(self.chosen, seed) for seed in range(MOST_SEEDS)]
        if self.simulated:
            return [_kept(place) for place in places if (place / VOTES).exists()]
        found = [_opened(place / STUDY) for place in places if (place / STUDY / DATABASE).exists()]
        return [(items, votes) for items, votes in found if votes]


def exhibits(profile: Profile, chosen: Callable[[str], Arm]) -> Iterator[Study]:
    """The study of every model; ``chosen`` gives the arm of its best pairs."""
    for model, settings in profile.models.items():
        key = "study" if len(profile.models) == 1 else f"study-{model}"
        simulated = settings.base == str(BASE_MODEL)
        yield Study(key, "qsd", f"QSD, figure 5: blind study ({model})", model, Arm(model), chosen(model), simulated)


def pooled(cast: Sequence[Cast]) -> Votes:
    """The results of several studies of the same prompts as those of one; intervals draw prompts, not studies."""
    from tastemaker.study.results import results

    items: list[Item] = []
    votes: list[Vote] = []
    for some, said in cast:
        first = len(items)
        items += [item.model_copy(update={"id": item.id + first}) for item in some]
        votes += [replace(vote, item=vote.item + first) for vote in said]
    return results(items, votes, least=LEAST)


def prefers_qsd(one: WinRate) -> WinRate:
    """The same with QSD as the first of the two models, whichever stood there."""
    if one.a == QSD:
        return one
    share = Interval(1 - one.share.value, 1 - one.share.high, 1 - one.share.low)
    rate, decided = _turned(one.rate), _turned(one.decided)
    return replace(one, a=one.b, b=one.a, wins=one.losses, losses=one.wins, rate=rate, decided=decided, share=share)


def above_half(one: WinRate) -> Interval:
    """The rate minus ½ with the wider of two intervals: the bootstrap, and the exact binomial one without ties.

    Of a few decided pairs that all say the same the bootstrap is too sure (four of four: p = 0.125 by the sign test).
    """
    from scipy import stats

    low, high = one.rate.low, one.rate.high
    if decided := one.wins + one.losses:
        exact = stats.binomtest(one.wins, decided).proportion_ci(method="exact")
        low, high = min(low, float(exact.low)), max(high, float(exact.high))
    return Interval(one.rate.value - 0.5, low - 0.5, high - 0.5)


def _turned(rate: Rate) -> Rate:
    return replace(
        rate,
        value=1 - rate.value,
        wilson_low=1 - rate.wilson_high,
        wilson_high=1 - rate.wilson_low,
        low=1 - rate.high,
        high=1 - rate.low,
    )


def _kept(place: Path) -> Cast:
    """A simulated study, from the votes beside it."""
    from tastemaker.study import design
    from tastemaker.study.vote import Vote, canonical

    rows = read_json(place / VOTES)
    votes = [Vote(**{**row, "answer": canonical(row["answer"]), "shown": tuple(row["shown"])}) for row in rows]
    return design.read(place / STUDY).items, votes


def _opened(study: Path) -> Cast:
    """A study of people, from its database."""
    from tastemaker.study import votes
    from tastemaker.study.db import open_study

    store = open_study(study)
    try:
        return store.design.items, votes.every(store)
    finally:
        store.close()


def _rows(found: Votes, single: Sequence[Votes]) -> Iterator[list[str]]:
    """A row a question: all pairs, and beside them what each study found alone."""
    yield [
        "question",
        "QSD / tie / DPO / no majority",
        "prefers QSD, ties ½ (Wilson)",
        "(bootstrap)",
        "without ties (Wilson)",
        "of each study",
        "α (95 %)",
        "above ½",
        "published SDXL",
        "published SD1.5",
    ]
    for finding in _asked(found):
        one = next(each for each in map(prefers_qsd, finding.win_rates) if each.category is None)
        alone = [_rate(each, finding.question) for each in single]
        yield [
            finding.question,
            f"{one.wins} / {one.ties} / {one.losses} / {one.undecided}",
            interval(Interval(one.rate.value, one.rate.wilson_low, one.rate.wilson_high), ".3f"),
            f"{one.rate.low:.3f} to {one.rate.high:.3f}",
            interval(Interval(one.decided.value, one.decided.wilson_low, one.decided.wilson_high), ".3f"),
            ", ".join(f"{value:.2f}" for value in alone),
            interval(finding.agreement.alpha, ".3f"),
            reading(above_half(one)),
            *(f"{published.STUDY[model][finding.question]:.2f}" for model in ("sdxl", "sd15")),
        ]


def _category_rows(found: Votes) -> Iterator[list[str]]:
    """Prefers QSD, ties ½, by category and question, with Wilson's interval."""
    asked = _asked(found)
    rates = {each.question: {one.category: prefers_qsd(one).rate for one in each.win_rates} for each in asked}
    yield ["prefers QSD, ties ½ (Wilson)", *rates]
    for category in sorted({name for some in rates.values() for name in some if name}):
        cells = [some[category] for some in rates.values()]
        yield [category, *(interval(Interval(one.value, one.wilson_low, one.wilson_high), ".3f") for one in cells)]


def _asked(found: Votes) -> list[Findings]:
    """Findings in the order of the questions."""
    return [each for question in QUESTIONS for each in found.after if each.question == question]


def _rate(found: Votes, question: str) -> float:
    finding = next((each for each in found.after if each.question == question), None)
    rates = [each for each in finding.win_rates if each.category is None] if finding else []
    return prefers_qsd(rates[0]).rate.value if rates else math.nan
