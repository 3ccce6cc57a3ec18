"""What a study found: all figures with every rater, again without the excluded ones, and who these are and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.evaluate.metrics import number, with_interval
from tastemaker.evaluate.winrate import Interval
from tastemaker.study.agreement import Agreement, agreement
from tastemaker.study.exclusion import Finding, exclusions, kept
from tastemaker.study.majority import FlagRate, Rate, WinRate, flag_rates, tally, win_rates
from tastemaker.study.resample import Bootstrap
from tastemaker.study.rules import Rules
from tastemaker.study.units import named
from tastemaker.study.vote import Item, Vote, last, misfit, pseudonym


@dataclass(frozen=True)
class Findings:
    """What one question's last votes say; gold items and repetitions are in none of it."""

    question: str
    votes: int
    raters: int
    items: int
    agreement: Agreement
    agreement_by_category: dict[str, Agreement]
    win_rates: tuple[WinRate, ...]
    flag_rates: tuple[FlagRate, ...]


@dataclass(frozen=True)
class Results:
    """A study's results ``before`` and ``after`` exclusion, a `Findings` a question, and who was excluded and why.

    ``votes`` are all that were ever cast, ``counted`` those that stand (neither replaced nor taken back).
    """

    votes: int
    counted: int
    raters: int
    least: int
    rules: Rules
    excluded: tuple[Finding, ...]
    before: tuple[Findings, ...]
    after: tuple[Findings, ...]
    bootstrap: Bootstrap


def results(
    items: Sequence[Item],
    votes: Iterable[Vote],
    rules: Rules | None = None,
    *,
    flags: Sequence[str] = (),
    least: int = 3,
    bootstrap: Bootstrap | None = None,
) -> Results:
    """The results of ``votes``; a majority is ``least`` of them (`majority.majority`), ``flags`` the design's.

    Raises `UserError` for a vote on an item that is not there, or with an answer that does not fit it.
    """
    rules, bootstrap, cast = rules or Rules(), bootstrap or Bootstrap(), list(votes)
    check(items, cast)
    counted, excluded = last(cast), exclusions(items, cast, rules)
    flags = sorted({*flags, *named(counted)})
    return Results(
        votes=len(cast),
        counted=len(counted),
        raters=len({vote.rater for vote in counted}),
        least=least,
        rules=rules,
        excluded=tuple(excluded),
        before=_findings(items, counted, flags, least, bootstrap),
        after=_findings(items, kept(counted, excluded), flags, least, bootstrap),
        bootstrap=bootstrap,
    )


def check(items: Iterable[Item], votes: Iterable[Vote]) -> None:
    """See that every vote is on an item and fits it; raises `UserError` naming the first that does not."""
    by_id = {item.id: item for item in items}
    for vote in votes:
        where = f"vote of {vote.rater} on item {vote.item}, {vote.question}, revision {vote.revision}"
        if vote.item not in by_id:
            raise UserError(f"{where}: the design has no such item; give the design that the votes were cast on")
        if vote.answer is not None and (wrong := misfit(by_id[vote.item], vote.answer)):
            raise UserError(f"{where}: {wrong}; give the design that the votes were cast on")


def to_json(found: Results) -> dict[str, Any]:
    """Plain values for `base.files.write_json`; what is not defined is null, raters go by `vote.pseudonym`."""
    plain: dict[str, Any] = _plain(
        asdict(found) | {"excluded": [asdict(each) for each in _outside(found)]} | {"rules": found.rules.model_dump()}
    )
    return plain


def to_markdown(found: Results) -> str:
    """The results on a page: exclusions first, then each question before and after them; raters by pseudonym."""
    lines = [f"{found.counted} votes of {found.raters} raters ({found.votes} with those changed or taken back).", ""]
    lines += _exclusions(found)
    stages = [("All raters", found.before)] + ([("Without the excluded", found.after)] if found.excluded else [])
    for title, stage in stages:
        lines += [f"## {title}", ""]
        for one in stage:
            lines += [f"### {one.question}", "", *_agreement(one), *_wins(one), *_flags(one)]
    share = f"{found.bootstrap.confidence:.0%}"
    lines += [
        f"Intervals are {share}: over items of agreement, over prompts of rates. A majority is {found.least} votes."
    ]
    return "\n".join(lines) + "\n"


def _findings(
    items: Sequence[Item], votes: Sequence[Vote], flags: Sequence[str], least: int, bootstrap: Bootstrap
) -> tuple[Findings, ...]:
    by_id = {item.id: item for item in items if item.measured}
    measured = [vote for vote in votes if vote.item in by_id]
    asked = Counter(vote.question for vote in measured)
    return tuple(
        _finding(by_id, question, [vote for vote in measured if vote.question == question], flags, least, bootstrap)
        for question in asked
    )


def _finding(
    items: dict[int, Item],
    question: str,
    votes: Sequence[Vote],
    flags: Sequence[str],
    least: int,
    bootstrap: Bootstrap,
) -> Findings:
    def agree(category: str | None) -> Agreement:
        of = [vote for vote in votes if category in (None, items[vote.item].category)]
        return agreement(items, of, flags, bootstrap)

    return Findings(
        question=question,
        votes=len(votes),
        raters=len({vote.rater for vote in votes}),
        items=len({vote.item for vote in votes}),
        agreement=agree(None),
        agreement_by_category={name: agree(name) for name in sorted({items[v.item].category for v in votes} - {""})},
        win_rates=tuple(win_rates(items, tally(items, votes, least), bootstrap)),
        flag_rates=tuple(flag_rates(items, votes, flags, least, bootstrap)),
    )


def _exclusions(found: Results) -> list[str]:
    limits = [f"{name} {limit}" for name, limit in found.rules.model_dump(exclude_none=True).items()]
    head = f"Rules of exclusion: {', '.join(limits) if len(limits) > 1 else 'none'}."
    gone = len({finding.rater for finding in found.excluded})
    return [head, f"Excluded: {gone} of {found.raters} raters.", "", *(f"- {each}" for each in _outside(found)), ""]


def _outside(found: Results) -> list[Finding]:
    """The exclusions without the raters' ids, under the names that `export` gives them too."""
    return [replace(each, rater=pseudonym(each.rater)) for each in found.excluded]


def _agreement(one: Findings) -> list[str]:
    head = ["votes on", "units", "raw agreement", "Krippendorff's α", "Fleiss' κ (units × raters)"]
    ranked = one.agreement.ordinal is not None
    rows = [head + ["ordinal α of ranks"] * ranked]
    for name, each in [("all", one.agreement), *one.agreement_by_category.items()]:
        kappa = f"{_interval(each.fleiss)} ({each.fleiss_units} × {each.fleiss_raters})"
        row = [name, str(each.units), _interval(each.raw), _interval(each.alpha), kappa]
        rows.append(row + ([_interval(each.ordinal)] if each.ordinal else []))
    return [f"{one.votes} votes of {one.raters} raters on {one.items} items.", "", *_table(rows)]


def _wins(one: Findings) -> list[str]:
    head = ["models", "of", "prompts", "win / tie / loss / no majority", "win rate, ties ½", "Wilson", "without ties"]
    rows = [[*head, "share of the votes"]]
    for each in one.win_rates:
        counts = f"{each.wins} / {each.ties} / {each.losses} / {each.undecided}"
        row = [f"{each.a or '–'} against {each.b or '–'}", each.category or "all", str(each.prompts), counts]
        rows.append([*row, _interval(each.rate), _wilson(each.rate), _interval(each.decided), _interval(each.share)])
    return _table(rows) if one.win_rates else []


def _flags(one: Findings) -> list[str]:
    rows = [["model", "flag", "of", "flagged", "rate", "Wilson"]]
    for each in one.flag_rates:
        row = [each.model or "–", each.flag, each.category or "all", f"{each.flagged} of {each.images}"]
        rows.append([*row, _interval(each.rate), _wilson(each.rate)])
    return _table(rows) if one.flag_rates else []


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows, the first of which is the head, as Markdown and an empty line."""
    ruled = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return ["| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |" for row in ruled] + [
        ""
    ]


def _interval(interval: Interval | Rate) -> str:
    """``value (low to high)``; a dash is what is not defined."""
    figures = {"": interval.value, "_low": interval.low, "_high": interval.high}
    known: dict[str, Any] = {name: None if math.isnan(figure) else figure for name, figure in figures.items()}
    return with_interval(known, "", ".3f")


def _wilson(rate: Rate) -> str:
    limits = (None if math.isnan(limit) else limit for limit in (rate.wilson_low, rate.wilson_high))
    return " to ".join(number(limit, ".3f") for limit in limits)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
