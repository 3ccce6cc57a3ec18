"""OUT/page: what the figures are of, then every exhibit's part, with its pictures and numbers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tastemaker import __version__
from tastemaker.base.errors import UserError
from tastemaker.base.files import write_text
from tastemaker.reproduce import mark
from tastemaker.reproduce.exhibit import Exhibit
from tastemaker.reproduce.profile import Judge, Profile
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.tables import rows_of

FOLDER, NAME = "page", "README.md"
"""A folder that can be committed or sent as it is, and whose page shows by itself."""


def write(results: Results, known: Sequence[Exhibit], folder: Path) -> None:
    """Write the page of what is finished, its pictures and the exhibits' own files to ``folder``."""
    parts = [part for exhibit in known if (part := _part(exhibit, results, folder))]
    write_text(folder / NAME, "\n".join([*head(results.shop.profile), *parts]))


def _part(exhibit: Exhibit, results: Results, folder: Path) -> str:
    """A part whose files are damaged says so in its place, and the others stand."""
    try:
        return exhibit.write(results, folder)
    except UserError as error:
        return f"### {exhibit.title}\n\nNot written: {error}\n"


def head(profile: Profile) -> list[str]:
    """What all parts share: scale, prompts, judges, how settings and checkpoints were chosen, what intervals are."""
    taught = ", ".join(f"{name}: {spec}" for name, spec in profile.rankers.items())
    tune, test = profile.tune(), profile.test()
    return [
        f"# The papers' tables and figures, profile {profile.name}",
        "",
        f"Written by `tastemaker reproduce --profile {profile.name}`, tastemaker {__version__}; `{mark.NAME}` says "
        "what the runs were made of, and the same command goes on where it was.",
        "",
        *rows_of([["judge", "scorer", "what it says", "ties within"], *map(_judge, profile.judges)]),
        "",
        f"- {len(test):,} prompts are reported, the same with the same noise for every arm and seed; seeds are of the "
        "training.",
        f"- Of each run's {profile.checkpoints} checkpoints the best by {profile.chosen_by} on {len(tune):,} other "
        f"prompts is reported. {_settings(profile)}",
        f"- Scorers that rank pairs: {taught}.",
        "- Intervals are 95 % over seeds and prompts: Student's t over the seeds, the variance of the prompts added.",
        "",
    ]


def _judge(judge: Judge) -> list[str]:
    scale = "" if judge.scale == 1 else f" (× {judge.scale:g})"
    return [judge.name + scale, f"`{judge.spec}`", judge.about, f"{judge.epsilon:g}"]


def _settings(profile: Profile) -> str:
    if profile.faster is None:
        return "Strengths and rates are the papers', or the recipes' where a paper says none."
    return (
        "Strength and rate were tuned by the same judge on the same other prompts, on all pairs, once for each loss "
        "and weight; the best pairs, the random subset, other steps and other LoRA ranks take the same, and DDE those "
        "of its single-shot part: one thing differs."
    )
