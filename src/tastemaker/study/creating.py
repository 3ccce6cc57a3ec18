"""The verb ``study create``: a source of tasks and a plan → the study's folder, and what it asks of people."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.study import build
from tastemaker.study.build import Source
from tastemaker.study.design import Design, Plan


def make(
    out: Path, plan: Plan, source: Source, gold: Source | None = None, categories: Path | None = None
) -> dict[str, Any]:
    """Make the study ``out`` (`build.create`) and return what it takes; the same again changes nothing.

    ``categories`` is the file that the source's categories came from. Raises `UserError` as `build.create`, when it
    names none of the prompts, and when ``plan.quota`` leaves no room for a task that counts.
    """
    if categories and not any(task.category for task in source.tasks):
        raise UserError(f"{categories}: names no prompt of the study; write the prompts as the source has them")
    needs(build.arrange(plan, source.tasks, gold.tasks if gold else ()))  # refuses before anything is written
    design = build.create(out, plan, source, gold)
    named = Counter(item.category or "none" for item in design.items if item.measured)
    return {"study": str(out), **needs(design)} | (
        {"tasks by category": dict(sorted(named.items()))} if categories else {}
    )


def needs(design: Design) -> dict[str, Any]:
    """What a study asks of people: tasks, ratings (tasks done, checks aside) and at least how many people.

    With R raters an item, and a person who does L tasks of which C are checks: max(R, ⌈items·R / (L − C)⌉). Raises
    `UserError` when L − C is 0.
    """
    from tastemaker.study.assign import checks_due, length

    measured, each = len(design.items) - design.checks, length(design) - checks_due(design)
    if not each:
        raise UserError(
            f"--quota {design.quota}: the checks leave no room for a task that counts; give more, or fewer checks"
        )
    ratings = measured * design.raters_per_item
    return {
        "tasks": measured,
        "repetitions": sum(item.repeats is not None for item in design.items),
        "gold tasks": sum(item.gold is not None for item in design.items),
        "questions": list(design.asked),
        "raters a task": design.raters_per_item,
        "ratings needed": ratings,
        "tasks a person": length(design),
        "people needed": max(design.raters_per_item, math.ceil(ratings / each)),
    }


def part(source: Source, count: int | None, seed: int) -> Source:
    """``count`` tasks of ``source``, drawn, in its order; all of them where it is None. Raises `UserError`."""
    if count is None:
        return source
    if not 1 <= count <= len(source.tasks):
        raise UserError(
            f"--count {count}: the source has {len(source.tasks)} tasks; ask for 1 or more, and at most that"
        )
    chosen = draw.numbers(seed, "study", "part").permutation(len(source.tasks))[:count]
    return replace(source, tasks=[source.tasks[place] for place in sorted(chosen)])
