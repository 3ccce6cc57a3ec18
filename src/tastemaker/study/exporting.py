"""The verb ``study export``: votes, results and data folders of a study, or of every round of a run.

An export is replaced as a whole or not at all. What takes its place is made in a folder beside it, and two renames
swap them; a kill between these leaves no export at all, and the next one brings the old one back first.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.data.store import ImageStore
from tastemaker.study import design as designs
from tastemaker.study import export, figure, results, votes
from tastemaker.study.db import Store
from tastemaker.study.exclusion import kept
from tastemaker.study.resample import Bootstrap
from tastemaker.study.results import Results
from tastemaker.study.series import Series
from tastemaker.study.vote import Vote

VERB = "study export"
JSON, MARKDOWN, PICTURE = "results.json", "results.md", "results.png"
OURS = re.compile(
    r"(round-\d+/)?(votes\.(csv|parquet)|results\.(json|md|png)|summary\.json"
    r"|\w+/(comparisons\.parquet|images/images-\d+\.parquet|\.lock))"
)
"""The files of an export, by their path in it."""


@dataclass(frozen=True)
class How:
    """How results are made: ``confidence`` of intervals, ``least`` votes of a majority, ``seed`` of the bootstrap.

    ``least`` None is more than half of the raters that the design asks: three of five.
    """

    confidence: float = 0.95
    least: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise UserError(f"--confidence {self.confidence}: must be between 0 and 1, such as 0.95")
        if self.least is not None and self.least < 1:
            raise UserError(f"--least {self.least}: must be at least 1")

    def results(self, cast: Cast) -> Results:
        """The results of a study."""
        design = cast.store.design
        least = design.raters_per_item // 2 + 1 if self.least is None else self.least
        bootstrap = Bootstrap(confidence=self.confidence, seed=self.seed)
        return results.results(
            design.items, cast.votes, design.rules, flags=design.flags, least=least, bootstrap=bootstrap
        )


class Cast(NamedTuple):
    """A study (``name`` is its folder in the export, empty of a single one) and the votes ever cast in it."""

    name: str
    store: Store
    votes: list[Vote]


def write(series: Series, out: Path, how: How | None = None) -> dict[str, Any]:
    """Write the export ``out`` of ``series`` and return its summary; nothing changes where the votes are the same.

    An export of fewer votes is replaced. Raises `UserError` when nobody has voted, or when ``out`` is another study's,
    no export, or holds files that no export wrote and that would be lost.
    """
    started, how = time.monotonic(), how or How()
    cast = [each for each in _cast(series) if each.votes]
    if not cast:
        raise UserError(f"{series.folder}: nobody has voted yet; `tastemaker study status` shows how far it is")
    facts = {"design": series.stores()[0].design.sha, "fingerprint": _fingerprint(cast, how)}
    out = out.resolve()
    with _workspace(out) as work:
        if done := _there(out, facts):
            return done
        with files.atomic_folder(work / "new") as temporary:
            said = {each.name: _export(each, temporary / each.name, how) for each in cast}
            counts = {"rounds": said} if series.rounds else said[""]
            done = summary.finish(temporary, VERB, started, **counts, out=out, **facts)
        _swap(work, out)
    return done


def _cast(series: Series) -> Iterator[Cast]:
    for store in series.stores():
        yield Cast(store.folder.parent.name if series.rounds else "", store, votes.every(store))


def _export(cast: Cast, folder: Path, how: How) -> dict[str, Any]:
    """Write all of one study into ``folder``; the counts for the summary."""
    design, status = cast.store.design, votes.status(cast.store)
    found = how.results(cast)
    folder.mkdir(exist_ok=True)
    export.write_votes(folder, design.items, cast.votes)
    head = {"title": design.title, "design": design.sha, "state": status.state, "items": status.items}
    head |= {"complete": status.complete}
    files.write_json(folder / JSON, head | results.to_json(found))
    files.write_text(folder / MARKDOWN, _page(head, found))
    figure.write(folder / PICTURE, found)
    gone = len({finding.rater for finding in found.excluded})
    counts = {"state": status.state, "votes": found.counted, "raters": found.raters, "excluded": gone}
    return counts | {"comparisons": _write_data(cast, found, folder)}


def _write_data(cast: Cast, found: Results, folder: Path) -> dict[str, int]:
    """Write a data folder for each question on which images were compared; the number of comparisons of each."""
    design, images = cast.store.design, ImageStore(cast.store.folder / designs.DATA)
    stand, written = kept(cast.votes, found.excluded), dict.fromkeys(design.asked, 0)
    source = f"study {design.sha[:8]}"  # so that two studies of the same images have pairs of their own
    for question in design.asked:
        if export.comparisons(design.items, stand, question):
            into = folder / question
            written[question] = len(export.write_data(into, design.items, stand, question, images, source))
    return written


def _page(head: Mapping[str, Any], found: Results) -> str:
    done = f"{head['complete']} of {head['items']} tasks have all their raters; the study is {head['state']}."
    title = " ".join(head["title"].split())
    return f"# {title}\n\n{done}\n\n![Rates and agreement]({PICTURE})\n\n{results.to_markdown(found)}"


def _fingerprint(cast: Sequence[Cast], how: How) -> str:
    said = [[each.name, each.store.design.sha, [asdict(vote) for vote in each.votes]] for each in cast]
    return summary.fingerprint(votes=files.sha256_text(json.dumps(said)), **asdict(how))


def _there(out: Path, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The summary of what stands at ``out`` if it is this export; None if something may take its place."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    found = files.read_json(out / summary.NAME) if (out / summary.NAME).is_file() else None
    if not isinstance(found, dict) or (found.get("verb"), found.get("design")) != (VERB, facts["design"]):
        raise UserError(f"{out}: is there already and holds no export of this study; choose another --out")
    if found.get("fingerprint") == facts["fingerprint"]:
        return dict(found)
    if foreign := _foreign(out):
        raise UserError(
            f"{foreign}: no export wrote it, and the votes are others now; move it away, or choose another --out"
        )
    return None


def _foreign(out: Path) -> Path | None:
    """A file in ``out`` that no export wrote, such as scores of its images."""
    inside = sorted(path for path in out.rglob("*") if not path.is_dir())
    return next((path for path in inside if not OURS.fullmatch(path.relative_to(out).as_posix())), None)


@contextmanager
def _workspace(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that this process alone works in; what a killed one left there is put right."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: cannot be written (a file is in the way); choose another folder")
    work = out.with_name(f"{files.TEMPORARY}{out.name}")
    with files.locked(work):
        if (work / "old").exists() and not out.exists():
            os.rename(work / "old", out)
        for left in (path for path in work.iterdir() if path.is_dir()):
            shutil.rmtree(left)
        try:
            yield work
        finally:
            if out.exists() or not (work / "old").exists():
                shutil.rmtree(work, ignore_errors=True)


def _swap(work: Path, out: Path) -> None:
    """Put the folder `new` in the place of ``out``."""
    try:
        if out.exists():
            os.rename(out, work / "old")
        os.rename(work / "new", out)
        files.sync_folder(out.parent)
    except OSError as error:
        if (work / "old").exists() and not out.exists():
            os.rename(work / "old", out)
        raise UserError(f"{out}: cannot be replaced ({error.strerror}); choose another --out") from error
