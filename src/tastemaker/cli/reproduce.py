"""`tastemaker reproduce`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from tastemaker.reproduce.profile import Profile


def run(
    *,
    out: Path,
    profile: Literal["world", "paper"] = "world",
    only: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0, 1),
    data: str | None = None,
    base: tuple[str, ...] = (),
    tune_prompts: Path | None = None,
    test_prompts: Path | None = None,
    class_names: Path | None = None,
    classifier: str | None = None,
    safety: str | None = None,
    dry_run: bool = False,
    page_only: bool = False,
) -> None:
    """Make the papers' tables and figures again: every run that they need, once, and the pages about them.

    A stopped call goes on where it was. Give more seeds later: what is finished is left alone. Several calls may work
    in one folder at the same time, such as one a GPU with seeds of its own.

    Args:
        out: Folder of the runs; OUT/page/README.md tells what came out so far, beside it lies every score and picture.
        profile: world is the small world here and now; paper the papers' own models, data and sizes, in GPU-hours.
        only: Tables, figures or papers, by default all; a wrong name lists them.
        seeds: Seeds of the training; prompts and initial noise are the same for all.
        data: For paper: the comparisons, as tastemaker import reads them; Pick-a-Pic v2 from the hub if not given.
        base: For paper: sd15=FOLDER and sdxl=FOLDER, where the models lie on disk.
        tune_prompts: For paper: file of the prompts by which checkpoints are chosen.
        test_prompts: For paper: file of the prompts that are reported, or HPSv2's folder; none may be in both.
        class_names: For paper: file of ImageNet's 1000 class names in its order; the Inception Score draws 50 of each.
        classifier: For paper: who tells classes, as tastemaker evaluate takes it; inception if not given.
        safety: For paper: who tells unsafe images, as tastemaker evaluate takes it.
        dry_run: Say what it would cost and do nothing.
        page_only: Write the page of what is finished and do nothing else, also while other calls are at work.
    """
    import sys

    from tastemaker.base.summary import show
    from tastemaker.cli.scorers import build
    from tastemaker.reproduce.reproduce import announce, reproduce, retell
    from tastemaker.reproduce.runs import Shop

    if dry_run and page_only:
        raise UserError("--page-only: writes a page, and --dry-run writes nothing; leave one out")
    _check(out, seeds)
    given = {
        "--base": base,
        "--data": data,
        "--tune-prompts": tune_prompts,
        "--test-prompts": test_prompts,
        "--class-names": class_names,
        "--classifier": classifier,
        "--safety": safety,
    }
    shop = Shop(out, _paper(given) if profile == "paper" else _world(given), build)
    if page_only:
        return show(retell(shop))
    if profile == "paper" and not dry_run:
        show(announce(shop, only, seeds))
        sys.stdout.flush()  # before days of work, also into a file
    return show(reproduce(shop, only, seeds, dry_run))


def _check(out: Path, seeds: tuple[int, ...]) -> None:
    from tastemaker.reproduce.results import MOST_SEEDS

    if wrong := [seed for seed in seeds if not 0 <= seed < MOST_SEEDS]:
        raise UserError(f"--seeds {wrong[0]}: seeds are from 0 to {MOST_SEEDS - 1}")
    if not seeds:
        raise UserError("--seeds: name at least one, such as 0")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; choose another folder")
    if above := [place for place in out.parents if place.is_file()]:
        raise UserError(f"--out {out}: {above[0]} is a file; choose another folder")


def _paper(given: Mapping[str, Any]) -> Profile:
    from tastemaker.reproduce import paper_profile

    if given["--classifier"] and not given["--class-names"]:
        raise UserError(f"--classifier {given['--classifier']}: give --class-names as well, of which images are drawn")
    return paper_profile.profile(
        given["--base"],
        given["--data"] or paper_profile.DATA,
        given["--tune-prompts"],
        given["--test-prompts"],
        names=given["--class-names"],
        classifier=given["--classifier"] or paper_profile.INCEPTION,
        safety=given["--safety"] or "",
    )


def _world(given: Mapping[str, Any]) -> Profile:
    from tastemaker.reproduce import world_profile

    if named := [name for name, value in given.items() if value]:
        raise UserError(f"{named[0]}: the world profile brings its own; leave it out or say --profile paper")
    return world_profile.profile()
