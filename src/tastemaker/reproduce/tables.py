"""Tables of arms with the published figures and the paper's claims beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tastemaker.base.files import write_json, write_text
from tastemaker.evaluate.winrate import Interval, outcomes
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.claims import Judged, judged, tidy_claims
from tastemaker.reproduce.exhibit import Claim, Paper, scored
from tastemaker.reproduce.output import finite
from tastemaker.reproduce.profile import Judge, Profile
from tastemaker.reproduce.results import Results, crossed, share
from tastemaker.reproduce.roles import MARK, note, roles
from tastemaker.reproduce.runs import BASE, Shop
from tastemaker.reproduce.samples import Samples, percent, samples
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.typeset import latex, probability, tidy

COLUMNS = ("row", "arm", "seeds", "judge", "figure", "value", "low", "high")
"""Of `<key>.csv`."""


@dataclass(frozen=True)
class Row:
    """A line of a table: ``published`` are the paper's figures under ``Table.metrics``, empty where it has none."""

    label: str
    arm: Arm | None
    """None is the base."""
    against: Arm | None = None
    """With whom the difference is taken."""
    published: tuple[float, ...] = ()
    share: float | None = None
    """Of the pairs that the paper reads; None where it says nothing of it."""


@dataclass(frozen=True)
class Cell:
    """Of a row and a judge: mean, difference and win rate against the base, and against the row's own partner."""

    judge: str
    seeds: int
    mean: float
    to_base: Interval | None
    win_rate: Interval | None
    to_partner: Interval | None
    partner_seeds: int = 0
    """Seeds that row and partner both have."""


@dataclass(frozen=True)
class Line:
    """What is finished of a row: a cell for each judge, none where no seed is; of an arm what its runs have read."""

    row: Row
    cells: tuple[Cell, ...]
    samples: Samples | None


@dataclass(frozen=True)
class Table:
    """A table of a paper (`exhibit.Exhibit`)."""

    key: str
    paper: Paper
    title: str
    model: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    metrics: tuple[str, ...] = ()
    """Names of the published columns."""
    digits: int = 2
    """Of published figures."""
    source: str = ""
    """The paper's model that the figures beside ours are of."""
    printed: tuple[Row, ...] = ()
    """Rows of the paper that have no counterpart here: label, figures and share alone."""

    @property
    def arms(self) -> list[Arm]:
        """Every arm that it needs, each once."""
        named = [row.arm for row in self.rows] + [row.against for row in self.rows]
        named += [arm for claim in self.claims for arm in (claim.better, claim.worse)]
        return list(dict.fromkeys(arm for arm in named if arm is not None))

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base and every arm, scored."""
        return scored(shop, self.model, self.arms, seeds)

    def write(self, results: Results, folder: Path) -> str:
        """The table and its claims; `<key>.json` and `<key>.csv` hold all figures, `<key>.tex` what the page shows."""
        if not (results.has_base(self.model) and any(results.seeds_of(arm) for arm in self.arms)):
            return ""
        lines = [_line(row, self.model, results) for row in self.rows]
        said, profile = judged(self.claims, results, self.model), results.shop.profile
        write_json(folder / f"{self.key}.json", finite(_plain(self, lines, said)))
        write_text(folder / f"{self.key}.csv", tidy(COLUMNS, [*_tidy(self, lines), *tidy_claims(said)]))
        shown, claimed = _text(self, lines, profile), claim_rows(said)
        write_text(folder / f"{self.key}.tex", latex(self.title, *(rows for rows in (shown, claimed) if rows)))
        parts = [f"### {self.title}", "", *rows_of(shown), "", " ".join(_notes(self, lines, profile)), ""]
        parts += [*rows_of(claimed), "", " ".join(claim_notes(len(self.claims), said)), ""] if said else []
        return "\n".join(parts)


def _line(row: Row, model: str, results: Results) -> Line:
    seeds = results.seeds_of(row.arm)
    if not seeds:
        return Line(row, (), None)
    cells = tuple(_cell(row, model, results, judge, seeds) for judge in results.shop.profile.judges)
    return Line(row, cells, None if row.arm is None else samples(results.shop, row.arm, seeds[0]))


def _cell(row: Row, model: str, results: Results, judge: Judge, seeds: Sequence[int]) -> Cell:
    count = 1 if row.arm is None else len(seeds)
    mean = float(results.scores(row.arm, judge.name, seeds[:count], model).mean())
    if row.arm is None:
        return Cell(judge.name, count, mean, None, None, None)
    d = results.difference(row.arm, None, judge.name)
    rate = share(outcomes(d.ravel(), judge.epsilon).reshape(d.shape))
    both = 0 if row.against is None else len(results.seeds_of(row.arm, row.against))
    partner = crossed(results.difference(row.arm, row.against, judge.name)) if both else None
    return Cell(judge.name, count, mean, crossed(d), rate, partner, both)


def _text(table: Table, lines: Sequence[Line], profile: Profile) -> list[list[str]]:
    """The head, a row for each line, and what the paper alone has."""
    names = [judge.name for judge in profile.judges]
    had = roles(profile, table.arms)
    marked = [name + MARK * (name in had) for name in names]
    head = ["", "seeds", *marked, "win rate (95 %)", f"{names[0]} − partner (95 %)"]
    head += ["pairs read", "distinct (of all)"] if _counted(table) else []
    body = [[line.row.label, *_measured(line, len(names)), *_read(table, line)] for line in lines]
    alone = [[row.label, *[""] * (len(head) - 1)] for row in table.printed]
    paper = [_printed(table, row) for row in (*table.rows, *table.printed)]
    return [head + _printed_head(table), *(left + right for left, right in zip(body + alone, paper, strict=True))]


def _measured(line: Line, judges: int) -> list[str]:
    """Seeds, a cell for each judge, win rate, difference to the partner."""
    if not line.cells:
        return ["–", *[""] * (judges + 2)]
    first = line.cells[0]
    partner = interval(first.to_partner, "+.3f")
    fewer = f", {first.partner_seeds} seeds" if 1 < first.partner_seeds != first.seeds else ""
    return [str(first.seeds), *map(_mean, line.cells), interval(first.win_rate, ".3f"), partner + fewer]


def _mean(cell: Cell) -> str:
    """``mean (difference to the base ± half of its interval)``."""
    if cell.to_base is None:
        return f"{cell.mean:.3f}"
    half = cell.to_base.high - cell.to_base.value
    width = f" ± {half:.3f}" if math.isfinite(half) else ""
    return f"{cell.mean:.3f} ({cell.to_base.value:+.3f}{width})"


def _counted(table: Table) -> bool:
    """Whether the paper says how many pairs are read."""
    return any(row.share is not None for row in table.rows)


def _read(table: Table, line: Line) -> list[str]:
    if not _counted(table):
        return []
    return ["", ""] if line.samples is None else list(line.samples.shown)


def _printed_head(table: Table) -> list[str]:
    named = [f"published {name}" for name in table.metrics]
    return [*named, *(["published samples"] if _counted(table) else [])]


def _printed(table: Table, row: Row) -> list[str]:
    figures = [f"{each:.{table.digits}f}" for each in row.published] or [""] * len(table.metrics)
    return figures + (["" if row.share is None else percent(row.share)] if _counted(table) else [])


def _notes(table: Table, lines: Sequence[Line], profile: Profile) -> Iterator[str]:
    first = profile.judges[0].name
    yield f"In brackets: difference to the base ± half of its 95 % interval. Win rate (ties ½) and partner by {first}."
    if said := note(profile, roles(profile, table.arms)):
        yield said
    if table.source:
        yield f"Published figures beside ours are of {table.source}."
    found = [line.samples for line in lines if line.samples] if _counted(table) else []
    if len({one.read for one in found}) == 1 < len({one.distinct for one in found}):
        yield (
            "Every run here reads as many pairs, a part of them again and again: what the best pairs save is distinct "
            "pairs, not steps as in the paper."
        )


def claim_rows(said: Sequence[Judged]) -> list[list[str]]:
    """A table of claims, with its head; empty where there is none."""
    if not said:
        return []
    differences = [f"Δ {name} (95 %)" for name in said[0].differences]
    return [["claim", "whose", "seeds", *differences, "by", "p (Holm)", "here"], *map(_claim, said)]


def _claim(one: Judged) -> list[str]:
    shown = [interval(found, "+.3f") for found in one.differences.values()]
    p = "–" if one.seeds < 2 else probability(one.p)
    return [one.claim.says, one.claim.whose, str(one.seeds), *shown, _by(one), p, one.here]


def _by(one: Judged) -> str:
    """As in "utility", "all 4", "3 of 4", "all of CLIP, HPSv2", "2 of CLIP, HPSv2, PickScore"."""
    count, everyone = len(one.by), len(one.by) == len(one.differences)
    if count == 1:
        return one.by[0]
    named = str(count) if everyone else ", ".join(one.by)
    if one.least == count:
        return f"all {named}" if everyone else f"all of {named}"
    return f"{one.least} of {named}"


def claim_notes(count: int, said: Sequence[Judged]) -> Iterator[str]:
    """How the ``count`` claims of a table are read."""
    yield (
        "Δ: by how much the better side lies above; its intervals are not corrected. p: two-sided t over seeds and "
        'prompts by the judges under "by" (of several their partial conjunction), corrected for the '
        f"{count} claims of this table (Holm)."
    )
    missing = dict.fromkeys(
        name for one in said if not set(one.by) & set(one.claim.metrics) for name in one.claim.metrics
    )
    if missing:
        yield f'The judges under "by" stand in for the paper\'s {", ".join(missing)}.'
    for claim, margins in ((one.claim, one.margins) for one in said if one.claim.margin):
        allowed = ", ".join(f"{name} {margin:.3f}" for name, margin in margins.items())
        yield (
            f'"{claim.says}" is tested with Δ + {claim.margin:g} standard deviations of the base\'s scores over '
            f"prompts, fixed beforehand: {allowed}."
        )


def _plain(table: Table, lines: Sequence[Line], said: Sequence[Judged]) -> dict[str, Any]:
    rows = {line.row.label: [asdict(cell) for cell in line.cells] for line in lines}
    read = {line.row.label: asdict(line.samples) for line in lines if line.samples}
    return {"title": table.title, "rows": rows, "pairs": read, "claims": [one.plain for one in said]}


def _tidy(table: Table, lines: Sequence[Line]) -> Iterator[dict[str, Any]]:
    for line in lines:
        arm = line.row.arm
        own = {"row": line.row.label, "arm": f"{table.model}-{BASE}" if arm is None else arm.name}
        yield from ({**own, **figure} for cell in line.cells for figure in _figures(cell))
        if line.samples:
            yield from ({**own, "figure": f"pairs {name}", "value": n} for name, n in asdict(line.samples).items())
        yield from ({**own, **figure} for figure in _tidy_printed(table, line.row))
    for row in table.printed:
        yield from ({"row": row.label, **figure} for figure in _tidy_printed(table, row))


def _figures(cell: Cell) -> Iterator[dict[str, Any]]:
    of = {"seeds": cell.seeds, "judge": cell.judge}
    yield {**of, "figure": "mean", "value": cell.mean}
    for name in ("to_base", "win_rate", "to_partner"):
        if found := getattr(cell, name):
            seeds = cell.partner_seeds if name == "to_partner" else cell.seeds
            yield {**of, "seeds": seeds, "figure": name, **asdict(found)}


def _tidy_printed(table: Table, row: Row) -> Iterator[dict[str, Any]]:
    for metric, value in zip(table.metrics if row.published else (), row.published, strict=True):
        yield {"judge": metric, "figure": "published", "value": value}
    if row.share is not None:
        yield {"figure": "published share of the pairs", "value": row.share}


def rows_of(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows, the first of which is the head, as lines of Markdown; none of none."""
    ruled = [rows[0], ["---"] * len(rows[0]), *rows[1:]] if rows else []
    return ["| " + " | ".join(row) + " |" for row in ruled]


def interval(found: Interval | None, form: str) -> str:
    """``value (low to high)``; one seed has no interval."""
    if found is None:
        return ""
    if not math.isfinite(found.low):
        return f"{found.value:{form}} (one seed)"
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"
