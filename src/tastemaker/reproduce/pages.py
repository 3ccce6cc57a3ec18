"""Tables of results as Markdown, LaTeX and CSV rows, with the published figures and the claims beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tastemaker.evaluate.winrate import Interval, outcomes
from tastemaker.reproduce.exhibit import Claim, Grid, Row, Table
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.results import Results, crossed, reading


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
class Line:
    """A row of a table with what was found; without finished seeds it has no cells."""

    row: Row
    cells: tuple[Cell, ...]


def lines(table: Table, results: Results) -> list[Line]:
    """Every row of ``table`` with the seeds that it has so far."""
    return [_line(row, table.model, results) for row in table.rows]


def _line(row: Row, model: str, results: Results) -> Line:
    seeds = results.seeds_of(row.arm)
    judges = results.shop.profile.judges
    return Line(row, tuple(_cell(row, model, results, judge, seeds) for judge in judges) if seeds else ())


def _cell(row: Row, model: str, results: Results, judge: Judge, seeds: Sequence[int]) -> Cell:
    count = 1 if row.arm is None else len(seeds)
    mean = float(results.scores(row.arm, judge.name, seeds[:count], model).mean())
    if row.arm is None:
        return Cell(judge.name, count, mean, None, None, None)
    d = results.difference(row.arm, None, judge.name)
    wins = crossed(outcomes(d.ravel(), judge.epsilon).reshape(d.shape))
    rate = Interval(wins.value, max(0.0, wins.low), min(1.0, wins.high))
    both = row.against is not None and results.seeds_of(row.arm, row.against)
    partner = crossed(results.difference(row.arm, row.against, judge.name)) if both else None
    return Cell(judge.name, count, mean, crossed(d), rate, partner)


def markdown(table: Table, results: Results) -> str:
    """The table, its claims, and the published figures where our source has them."""
    found = lines(table, results)
    judges = [judge.name for judge in results.shop.profile.judges]
    head = ["", "seeds", *judges, f"{judges[0]} − base (95 %)", "win rate (95 %)", f"{judges[0]} − partner (95 %)"]
    shown = any(line.row.published for line in found)
    head += [f"published {name}" for name in table.metrics] if shown else []
    rows = [head, ["---"] * len(head), *(_cells(line, table, len(judges), shown) for line in found)]
    text = [f"### {table.title}", "", *("| " + " | ".join(row) + " |" for row in rows), ""]
    return "\n".join([*text, *claims(table.claims, results, table.model), ""])


def _cells(line: Line, table: Table, judges: int, shown: bool) -> list[str]:
    own = [format(each, "g") for each in line.row.published] or [""] * len(table.metrics)
    published = own if shown else []
    if not line.cells:
        return [line.row.label, "–", *[""] * (judges + 3), *published]
    first = line.cells[0]
    means = [f"{cell.mean:.3f}" for cell in line.cells]
    rate = "" if first.win_rate is None else interval(first.win_rate, ".3f")
    sides = [interval(first.to_base, "+.3f"), rate, interval(first.to_partner, "+.3f")]
    return [line.row.label, str(first.seeds), *means, *sides, *published]


def claims(some: Sequence[Claim], results: Results, model: str) -> Iterator[str]:
    """A table of the claims whose two sides have run."""
    judge = results.shop.profile.judges[0].name
    found = [(claim, seeds) for claim in some if (seeds := results.seeds_of(claim.better, claim.worse))]
    if not found:
        return
    yield f"| claim of the paper | seeds | difference of {judge} (95 %) | here |"
    yield "| --- | --- | --- | --- |"
    for claim, seeds in found:
        one, two = (results.scores(arm, judge, seeds, model) for arm in (claim.better, claim.worse))
        said = crossed(one - two)
        yield f"| {claim.says} | {len(seeds)} | {interval(said, '+.3f')} | {reading(said)} |"


def interval(found: Interval | None, form: str) -> str:
    """``value (low to high)``; one seed has no interval."""
    if found is None:
        return ""
    if not math.isfinite(found.low):
        return f"{found.value:{form}} (one seed)"
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"


def heat(grid: Grid, results: Results) -> str:
    """The grid as tables, one a set of pairs: mean difference to the base and seeds; then who leads, and how surely."""
    judge = results.shop.profile.judges[0].name
    parts = []
    for name in grid.sets:
        values, seeds = grid.table(name, results)
        head = [f"{name}: {judge} − base", *grid.credits]
        rows = [head, ["---"] * len(head)]
        for loss, found, have in zip(grid.losses, values.tolist(), seeds.tolist(), strict=True):
            cells = zip(found, have, strict=True)
            rows.append([loss, *(f"{value:+.3f} ({count})" if count else "–" for value, count in cells)])
        parts += ["\n".join("| " + " | ".join(row) + " |" for row in rows), ""]
    return "\n".join([*parts, leader(grid, results), ""])


def leader(grid: Grid, results: Results) -> str:
    """The best combination with the most seeds, named only where it is distinguishable from the next."""
    judge = results.shop.profile.judges[0].name
    most = max((len(results.seeds_of(arm)) for arm in grid.arms), default=0)
    ready = [arm for arm in grid.arms if len(results.seeds_of(arm)) == most]
    if most < 2 or len(ready) < 2:
        return "No two combinations have run with two seeds yet; nothing is said about the best."
    means = {arm: float(results.difference(arm, None, judge).mean()) for arm in ready}
    first, second = sorted(ready, key=lambda arm: -means[arm])[:2]
    apart = crossed(results.difference(first, second, judge))
    says = "is" if apart.low > 0 else "is not"
    return (
        f"Of {len(ready)} combinations with {most} seeds `{first.name}` leads; it {says} distinguishable from the next, "
        f"`{second.name}`: {interval(apart, '+.3f')}."
    )


def figures_of(table: Table, results: Results) -> dict[str, Any]:
    """All figures of a table as plain values."""
    rows = [{"label": line.row.label, "cells": [asdict(cell) for cell in line.cells]} for line in lines(table, results)]
    return {"key": table.key, "title": table.title, "rows": rows}
