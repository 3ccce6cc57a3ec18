"""What the page says of the studies of QSD's figure 5: how many, of whom, the shares, the paper's beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tastemaker.evaluate.holm import holm
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce import published
from tastemaker.reproduce.output import finite
from tastemaker.reproduce.results import reading
from tastemaker.reproduce.study_majorities import LEAST, OUTCOMES, Answers, Cast, answers, p_half, preferred
from tastemaker.reproduce.study_simulated import FLIPS, PROMPTS, QUESTIONS, RATERS, TIES
from tastemaker.reproduce.tables import interval, rows_of

if TYPE_CHECKING:
    from tastemaker.study.results import Results as Votes

SIMULATED = (
    "Simulated: preference by true utility, which chose the checkpoints too, alignment by correctness, appeal by size "
    f"as JPEG (a stand-in, not a taste); ties within {TIES['preference']}, 0 and {TIES['appeal']} kB; {FLIPS:.0%} of "
    "the answers are errors."
)
RATES = (
    f"A majority is {LEAST} votes of {RATERS}. Rates count majorities for QSD; a tie is ½, and so is a pair on which "
    "all have voted without a majority. p is of ½, corrected for three questions, as is the sentence beside it."
)
MANY = "Intervals are over seeds and prompts; of the agreement α there are the mean of the studies and their range."
ONE = "Intervals are over the prompts (Wilson's; of α drawn): of these two models alone, not of other seeds."


@dataclass(frozen=True)
class Told:
    """Lines of the page, and all numbers as JSON can hold them."""

    lines: list[str]
    plain: dict[str, Any]


def told(cast: Sequence[Cast], simulated: bool) -> Told:
    """What the studies ``cast``, a seed each, say."""
    from tastemaker.study.results import results, to_json

    each = [results(*some, least=LEAST) for some in cast]
    asked = [found for question in QUESTIONS if (found := answers(question, cast)).worth().size]
    grouped = list(_category_rows(asked))
    lines = [_said(asked, each, simulated), "", *rows_of(list(_rows(asked, each)))]
    lines += ["", *rows_of(grouped)] if len(grouped) > 1 else []
    plain = {"simulated raters": simulated, "questions": {one.question: _plain(one) for one in asked}}
    return Told(lines, finite({**plain, "studies": [to_json(found) for found in each]}))


def _said(asked: Sequence[Answers], each: Sequence[Votes], simulated: bool) -> str:
    pairs = max((one.worth().shape[1] for one in asked), default=0)
    votes, raters = sum(found.counted for found in each), sum(found.raters for found in each)
    who = f"{raters} {'simulated raters' if simulated else 'people'}"
    called = f"{len(each)} studies, a seed each" if len(each) > 1 else "1 study"
    how = f"{pairs} pairs (the paper: {PROMPTS}), {votes} votes of {who} in {called}."
    return " ".join([*([SIMULATED] if simulated else []), how, RATES, MANY if len(each) > 1 else ONE])


def _rows(asked: Sequence[Answers], each: Sequence[Votes]) -> Iterator[list[str]]:
    """A row a question."""
    sides = " / ".join(OUTCOMES)
    head = ["question", sides, "prefers QSD (95 %)", "of each study", "without ties", "α", "p (Holm)", "above ½"]
    yield [*head, "published SDXL", "published SD1.5"]
    p_values = holm([p_half(one.worth()) for one in asked])
    for one, p in zip(asked, p_values, strict=True):
        rate = preferred(one.worth())
        yield [
            one.question,
            " / ".join(map(str, one.counts.values())),
            interval(rate, ".3f"),
            ", ".join(f"{share:.2f}" for share in one.of_each),
            f"{one.decided:.3f}" if math.isfinite(one.decided) else "–",
            _agreement(one.question, each),
            f"{p:.2g}",
            reading(Interval(rate.value - 0.5, rate.low - 0.5, rate.high - 0.5), len(one.studies), p),
            *(f"{published.STUDY[model][one.question]:.2f}" for model in ("sdxl", "sd15")),
        ]


def _category_rows(asked: Sequence[Answers]) -> Iterator[list[str]]:
    """Prefers QSD, by category and question."""
    yield ["prefers QSD (95 %)", *(one.question for one in asked)]
    for category in sorted({name for one in asked for name in one.categories}):
        found = [one.worth(category) for one in asked]
        yield [category, *(interval(preferred(some), ".3f") if some.size else "" for some in found)]


def _agreement(question: str, each: Sequence[Votes]) -> str:
    """Krippendorff's α: of one study with its interval, of several the mean and the range; "–" where nothing varies."""
    found = [one.agreement.alpha for votes in each for one in votes.after if one.question == question]
    values = [one.value for one in found if math.isfinite(one.value)]
    if not values:
        return "–"
    if len(found) == 1:
        return interval(found[0], ".3f")
    return f"{sum(values) / len(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _plain(one: Answers) -> dict[str, Any]:
    """What the JSON file says of a question."""
    rates = {name: asdict(preferred(some)) for name in one.categories if (some := one.worth(name)).size}
    worth = one.worth()
    rate = {**asdict(preferred(worth)), "prompts": worth.shape[1], "p of a half, uncorrected": p_half(worth)}
    return {"outcomes": one.counts, "rate": rate, "of each study": one.of_each, "categories": rates}
