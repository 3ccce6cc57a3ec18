"""`tastemaker reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def run(
    *,
    out: Path,
    profile: Literal["world"] = "world",
    only: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0, 1),
    dry_run: bool = False,
) -> None:
    """Make the papers' tables and figures again: every run that they need, once, and the pages about them.

    A stopped call goes on where it was. Give more seeds later: what is finished is left alone.

    Args:
        out: Folder of the runs; OUT/tables.md tells what came out so far, OUT/scores.parquet holds every score.
        profile: The small world here and now.
        only: Tables and figures, by default all; a wrong name lists them.
        seeds: Seeds of the training; prompts and initial noise are the same for all.
        dry_run: Say what it would cost and do nothing.
    """
    from tastemaker.base.summary import show
    from tastemaker.cli.scorers import build
    from tastemaker.reproduce import world_profile
    from tastemaker.reproduce.reproduce import reproduce
    from tastemaker.reproduce.runs import Shop

    show(reproduce(Shop(out, world_profile.profile(), build), only, seeds, dry_run))
