"""The verb ``credit``: what methods give to each denoising step, in pictures, and in words what the curves do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.report import credit_figures as figures
from tastemaker.report import page
from tastemaker.report.credit import Entry, Recorded, corrections, effective, from_recipe, from_run
from tastemaker.report.page import Section, Text

TITLE = "What each denoising step is given"
MIDDLE = (0.25, 0.75)
"""What is called the middle of the schedule, as fractions of T."""
FLAT = 1.5
"""A curve whose highest value is below so many times its mean has no clear peak."""


def credit(
    out: Path, recipes: Sequence[Path] = (), runs: Sequence[Path] = (), model: str | None = None
) -> dict[str, Any]:
    """Write the page about ``recipes`` and trained ``runs`` to ``out`` (.html), its numbers to ``<name>-data/``.

    ``model`` takes the place of the recipes' models; only its scheduler's configuration is read. Raises `UserError`
    when nothing is given, two have one name, or an input is missing.
    """
    started = time.monotonic()
    if out.suffix != ".html":
        raise UserError(f"{out}: must end in .html; the pictures are one HTML file")
    entries = [*(from_recipe(path, model) for path in recipes), *(from_run(folder, model) for folder in runs)]
    _check(entries)
    with files.locked(out.with_name(f"{out.stem}-data")):
        folder = page.write(out, TITLE, sections(entries), lead(entries))
        found = {entry.name: peaks(entry) for entry in entries}
        return summary.finish(folder, "credit", started, page=out, methods=len(entries), peaks=found)


def _check(entries: Sequence[Entry]) -> None:
    if not entries:
        raise UserError("nothing to show: give recipes, or --runs with output folders of `tastemaker train`")
    names = [entry.name for entry in entries]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{doubled}: two recipes or runs are called so; give one of them, or rename a folder")
    if len({entry.steps for entry in entries}) > 1:
        raise UserError("the models have different numbers of training steps; give one page for each, or --model")


def sections(entries: Sequence[Entry]) -> list[Section]:
    """The page: theory first, then what the runs recorded."""
    made = [
        Section("Weight", (figures.weights(entries), Text(tuple(map(say_weight, entries))))),
        Section("Credit at margin 0", (figures.shares(entries), Text(tuple(map(say_share, entries))))),
    ]
    trained = [(entry, entry.recorded) for entry in entries if entry.recorded is not None]
    if shown := [(entry, recorded) for entry, recorded in trained if recorded.pairs.any()]:
        said = tuple(say_effective(entry, recorded) for entry, recorded in shown)
        made.append(Section("Effective credit", (figures.effective_credit([e for e, _ in shown]), Text(said))))
    if kept := [(entry, recorded) for entry, recorded in trained if recorded.log_ratio is not None]:
        drawn = [figures.correction(entry, recorded) for entry, recorded in kept]
        said = tuple(say_correction(entry, recorded) for entry, recorded in kept)
        made.append(Section("Stepwise correction", (*drawn, figures.convergence([e for e, _ in kept]), Text(said))))
    return made


def lead(entries: Sequence[Entry]) -> str:
    """One sentence."""
    trained = sum(entry.recorded is not None for entry in entries)
    return f"{len(entries)} methods against the denoising step t, 0 nearly clean; {trained} as recorded in training."


def peaks(entry: Entry) -> dict[str, float]:
    """Where the curves are highest, as fractions of the schedule."""
    found = {"share": float(entry.share.argmax()) / entry.steps}
    if entry.recorded is not None and entry.recorded.pairs.any():
        wrong, right = (_peak(row) for row in effective(entry.recorded, figures.BINS))
        found |= {"effective, margin <= 0": wrong, "effective, margin > 0": right}
    return found


def _peak(row: Any) -> float:
    return (float(row.argmax()) + 0.5) / len(row)


def say_weight(entry: Entry) -> str:
    """What ω does."""
    low, high = int(entry.weight.argmin()), int(entry.weight.argmax())
    least, most = float(entry.weight[low]), float(entry.weight[high])
    if most - least < 1e-9 * most:
        return f"{entry.name}: ω is {most:g} at every step."
    return f"{entry.name}: ω runs from {least:.3g} at t = {low} to {most:.3g} at t = {high}."


def say_share(entry: Entry) -> str:
    """Which steps get half of the credit."""
    import numpy as np

    reached = np.cumsum(entry.share)
    first, last = (int(np.searchsorted(reached, part)) for part in (0.25, 0.75))
    return f"{entry.name}: the middle half of the credit at margin 0 goes to t = {first} … {last}."


def say_effective(entry: Entry, recorded: Recorded) -> str:
    """Where the effective credit peaks, if it does, and whether that is what the DDE paper says."""
    wrong, right = effective(recorded, figures.BINS)
    seen = recorded.pairs.sum(1)
    late = right[-len(right) // 10 :].mean() / max(right.mean(), 1e-30)
    return (
        f"{entry.name} ({seen.sum():,.0f} pairs, {seen[1] / max(seen.sum(), 1):.0%} ordered rightly): the effective "
        f"credit is highest at {_peak(wrong):.2f} T for pairs ordered wrongly and {_peak(right):.2f} T for those "
        f"ordered rightly; where the margin is positive it is {late:.2f} of its mean in the last tenth. The DDE paper "
        f"says that the credit of its method peaks in the middle of the schedule; this curve {_verdict(right)}."
    )


def _verdict(curve: Any) -> str:
    """Whether a curve peaks in the middle; chance alone makes some part of a flat one the highest."""
    if curve.max() < FLAT * curve.mean():
        return "has no clear peak"
    return "does" if MIDDLE[0] <= _peak(curve) <= MIDDLE[1] else "does not"


def say_correction(entry: Entry, recorded: Recorded) -> str:
    """How large the correction is, whether it shrinks with t, and how far it has converged."""
    assert recorded.log_ratio is not None
    after = corrections(recorded.log_ratio)[0, 0]
    points = figures.distances(entry, recorded)
    visits, distance = points[-1] if points else (0.0, float("nan"))
    return (
        f"{entry.name}: the winners' correction is {after[0]:.4g} at t = 0, {after[len(after) // 2]:.4g} at T/2 and "
        "0 at the last step; it shrinks as t grows, as a sum over noisier steps must. The last moment kept, at "
        f"{visits:.1f} visits per step, is {distance:.0%} from the end of the run; the paper calls the correction "
        "converged after about 200 visits per step."
    )
