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
from tastemaker.reproduce.exhibit import Claim, Paper, scored
from tastemaker.reproduce.output import finite
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.results import Results, crossed, reading, share
from tastemaker.reproduce.runs import BASE, Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.typeset import latex, tidy

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


@dataclass(frozen=True)
class Cell:
    """Of a row and a judge: mean, difference and win rate against the base, and against the row's own partner."""

    judge: str
    seeds: int
    mean: float
    to_base: Interval | None
    win_rate: Interval | None
    to_partner: Interval | None


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
        cells = {row.label: _cells(row, self.model, results) for row in self.rows}
        said = judged(self.claims, results, self.model)
        plain = {label: [asdict(cell) for cell in some] for label, some in cells.items()}
        tests = [{"claim": each.claim.says, "seeds": each.seeds, **asdict(each.difference)} for each in said]
        write_json(folder / f"{self.key}.json", finite({"title": self.title, "rows": plain, "claims": tests}))
        write_text(folder / f"{self.key}.csv", tidy(COLUMNS, [*_tidy(self, cells), *_tidy_claims(said)]))
        shown, claimed = _text(self, cells, results), claim_rows(said)
        write_text(folder / f"{self.key}.tex", latex(self.title, *(rows for rows in (shown, claimed) if rows)))
        return "\n".join([f"### {self.title}", "", *rows_of(shown), "", *rows_of(claimed), ""])


def _cells(row: Row, model: str, results: Results) -> tuple[Cell, ...]:
    """A cell for each judge; none where no seed of the row is finished."""
    seeds = results.seeds_of(row.arm)
    return tuple(_cell(row, model, results, judge, seeds) for judge in results.shop.profile.judges) if seeds else ()


def _cell(row: Row, model: str, results: Results, judge: Judge, seeds: Sequence[int]) -> Cell:
    count = 1 if row.arm is None else len(seeds)
    mean = float(results.scores(row.arm, judge.name, seeds[:count], model).mean())
    if row.arm is None:
        return Cell(judge.name, count, mean, None, None, None)
    d = results.difference(row.arm, None, judge.name)
    rate = share(outcomes(d.ravel(), judge.epsilon).reshape(d.shape))
    both = row.against is not None and results.seeds_of(row.arm, row.against)
    partner = crossed(results.difference(row.arm, row.against, judge.name)) if both else None
    return Cell(judge.name, count, mean, crossed(d), rate, partner)


def _text(table: Table, cells: dict[str, tuple[Cell, ...]], results: Results) -> list[list[str]]:
    judges = [judge.name for judge in results.shop.profile.judges]
    head = ["", "seeds", *judges, f"{judges[0]} − base (95 %)", "win rate (95 %)", f"{judges[0]} − partner (95 %)"]
    shown = table.metrics if any(row.published for row in table.rows) else ()
    return [[*head, *(f"published {name}" for name in shown)], *_rows(table, cells, len(judges), shown)]


def _rows(table: Table, cells: dict[str, tuple[Cell, ...]], judges: int, shown: Sequence[str]) -> Iterator[list[str]]:
    for row in table.rows:
        published = [f"{each:.2f}" for each in row.published] or [""] * len(shown)
        if not cells[row.label]:
            yield [row.label, "–", *[""] * (judges + 3), *published]
            continue
        first = cells[row.label][0]
        means = [f"{cell.mean:.3f}" for cell in cells[row.label]]
        sides = [interval(first.to_base, "+.3f"), interval(first.win_rate, ".3f"), interval(first.to_partner, "+.3f")]
        yield [row.label, str(first.seeds), *means, *sides, *published]


def _tidy(table: Table, cells: dict[str, tuple[Cell, ...]]) -> Iterator[dict[str, Any]]:
    for row in table.rows:
        own = {"row": row.label, "arm": f"{table.model}-{BASE}" if row.arm is None else row.arm.name}
        for each in cells[row.label]:
            of = {**own, "seeds": each.seeds, "judge": each.judge}
            yield {**of, "figure": "mean", "value": each.mean}
            for name in ("to_base", "win_rate", "to_partner"):
                if found := getattr(each, name):
                    yield {**of, "figure": name, **asdict(found)}
        for metric, value in zip(table.metrics if row.published else (), row.published, strict=True):
            yield {**own, "judge": metric, "figure": "published", "value": value}


def rows_of(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows, the first of which is the head, as lines of Markdown; none of none."""
    ruled = [rows[0], ["---"] * len(rows[0]), *rows[1:]] if rows else []
    return ["| " + " | ".join(row) + " |" for row in ruled]


@dataclass(frozen=True)
class Judged:
    """A claim whose two sides have run: by how much the better one lies above, by the first judge."""

    claim: Claim
    judge: str
    seeds: int
    difference: Interval


def judged(some: Sequence[Claim], results: Results, model: str) -> list[Judged]:
    """Those of the claims whose two sides have run."""
    judge = results.shop.profile.judges[0].name
    found = []
    for claim in some:
        if seeds := results.seeds_of(claim.better, claim.worse):
            one, two = (results.scores(arm, judge, seeds, model) for arm in (claim.better, claim.worse))
            found.append(Judged(claim, judge, len(seeds), crossed(one - two)))
    return found


def claim_rows(said: Sequence[Judged]) -> list[list[str]]:
    """A table of claims, with its head; empty where there is none."""
    if not said:
        return []
    head = ["claim of the paper", "seeds", f"difference of {said[0].judge} (95 %)", "here"]
    return [head, *([one.claim.says, str(one.seeds), *_says(one.difference)] for one in said)]


def _says(difference: Interval) -> tuple[str, str]:
    return interval(difference, "+.3f"), reading(difference)


def _tidy_claims(said: Sequence[Judged]) -> Iterator[dict[str, Any]]:
    for one in said:
        of = {"row": one.claim.says, "seeds": one.seeds, "judge": one.judge}
        yield {**of, "figure": "claim", **asdict(one.difference)}


def interval(found: Interval | None, form: str) -> str:
    """``value (low to high)``; one seed has no interval."""
    if found is None:
        return ""
    if not math.isfinite(found.low):
        return f"{found.value:{form}} (one seed)"
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"
