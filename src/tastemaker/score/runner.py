"""Every distinct (image, prompt) of a data folder scored once: in blocks, by several workers, bad rows set aside."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tastemaker.base.errors import UserError
from tastemaker.base.files import clear_temporaries, locked, read_json
from tastemaker.base.summary import fingerprint, finish
from tastemaker.score.batches import score_batch
from tastemaker.score.blocks import Job, blocks_of
from tastemaker.score.executors import Executor, executor
from tastemaker.score.ledger import collect, done_rows
from tastemaker.score.meter import Meter
from tastemaker.score.scorer import Scorer
from tastemaker.score.scores import NAME, Scores, find_scorer, read_scores, scores_folder
from tastemaker.score.work import Work, comparisons_sha, wanted

__all__ = ["Scores", "find_scorer", "read_scores", "score", "score_all", "score_batch"]


@dataclass(frozen=True)
class Settings:
    """How a run is carried out; none of it changes a score, but for the last bit where a batch has another shape."""

    shard_rows: int = 1024
    """Rows written at a time: a killed run repeats at most so many for each worker, and one image's."""
    batch_size: int = 64
    """Images and rows given to a scorer at a time."""
    keep_embeddings: bool = False
    retry: bool = False
    """Score again what an earlier run put into quarantine."""
    price: float | None = None
    """Of one worker for an hour."""

    def __post_init__(self) -> None:
        for name in ("shard_rows", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: must be at least 1")
        if self.price is not None and not 0 <= self.price < float("inf"):
            raise UserError(f"--price {self.price}: what one worker costs an hour, 0 or more")


def score(data: Path, scorer: Scorer, **settings: Any) -> dict[str, Any]:
    """`score_all` for one scorer and the fields of `Settings`; returns its summary."""
    return score_all(data, [scorer], Settings(**settings))[0]


def score_all(
    data: Path, scorers: Sequence[Scorer], settings: Settings | None = None, by: Executor | None = None
) -> list[dict[str, Any]]:
    """Score every distinct (image, prompt) of ``data`` into `data/scores/<scorer id>`; returns a summary a scorer.

    An image is read and decoded once for all ``scorers``, and seen once by each of their trunks. ``by`` carries it out
    (`executors`; one local process unless given). A run that was killed goes on where it stopped, and its
    `scores.parquet` is equal byte for byte to an uninterrupted run's, whatever carried out either. Further comparisons
    cost their own rows only. Rows that cannot be scored stand in `quarantine.jsonl` and are counted as ``quarantined``.
    """
    started = time.monotonic()
    settings, by = settings or Settings(), by or executor("local")
    _distinct(scorers)
    marks = {
        one.id: fingerprint(scorer=one.id, calibration=one.calibration, comparisons=comparisons_sha(data))
        for one in scorers
    }
    folders = {one.id: scores_folder(data, one.id) for one in scorers}
    try:
        with _held(folders, by):
            open_ones = [one for one in scorers if not _finished(folders[one.id], marks[one.id], settings.retry)]
            if open_ones:
                _carry_out(data, open_ones, folders, marks, settings, by, started)
    finally:
        by.close()
    return [read_json(folder / "summary.json") for folder in folders.values()]


def _carry_out(
    data: Path,
    scorers: Sequence[Scorer],
    folders: Mapping[str, Path],
    marks: Mapping[str, str],
    settings: Settings,
    by: Executor,
    started: float,
) -> None:
    work = wanted(data)
    known = {one.id: done_rows(folders[one.id], work, retry=settings.retry) for one in scorers}
    done = {name: rows for name, (rows, _) in known.items()}
    trusted = frozenset(name for name, (_, trusted) in known.items() if trusted)
    job = _job(data, scorers, folders, work, settings, trusted)
    by.meet()  # what is done is known to all before anybody adds to it
    figures = _score_missing(job, work, done, settings, by)
    by.meet()
    if by.main:
        for one in scorers:
            facts = collect(folders[one.id], one, work) | _truncated(one, work)
            counts = {"scorer": one.id, "images": len(work.images), **facts, "reused": int(done[one.id].sum())}
            finish(folders[one.id], "score", started, **counts, **figures, fingerprint=marks[one.id])
    by.meet()


def _job(
    data: Path,
    scorers: Sequence[Scorer],
    folders: Mapping[str, Path],
    work: Work,
    settings: Settings,
    trusted: frozenset[str],
) -> Job:
    prompt_shas = work.prompt_shas.to_pylist()
    own = {one.id: folders[one.id] for one in scorers}
    keep = settings.keep_embeddings
    return Job(data, own, scorers, work.prompts, prompt_shas, settings.batch_size, trusted, keep)


def _score_missing(
    job: Job, work: Work, done: Mapping[str, np.ndarray], settings: Settings, by: Executor
) -> dict[str, float]:
    """Score what no shard holds yet; returns the run's pace."""
    share = list(by.share(blocks_of(work, settings.shard_rows, done)))
    what = f"scoring with {', '.join(job.folders)}"
    with Meter(what, sum(block.rows for block in share), by.workers, settings.price) as meter:
        if share:
            by.run(job, share, meter)
    return meter.figures() if share else {}


@contextmanager
def _held(folders: Mapping[str, Path], by: Executor) -> Iterator[None]:
    """The scorers' folders, for this run alone; what a killed run left half-written is gone."""
    with ExitStack() as held:
        if by.main:
            for folder in sorted(set(folders.values())):
                held.enter_context(locked(folder))
                clear_temporaries(folder)
        by.meet()
        yield


def _finished(folder: Path, mark: str, retry: bool) -> bool:
    """Whether a run over the same comparisons is done. Other comparisons are no mistake: their rows are added."""
    path = folder / "summary.json"
    if not path.exists() or not (folder / NAME).exists():
        return False
    summary: dict[str, Any] = read_json(path)
    return summary.get("fingerprint") == mark and not (retry and summary["quarantined"])


def _truncated(scorer: Scorer, work: Work) -> dict[str, int]:
    """How many prompts are longer than the scorer reads, where it can tell."""
    count = getattr(scorer, "truncated", None)
    return {} if count is None else {"truncated_prompts": int(count(work.prompts))}


def _distinct(scorers: Sequence[Scorer]) -> None:
    if not scorers:
        raise UserError("--scorer: give at least one")
    names = [one.id for one in scorers]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"--scorer: {twice[0]} stands there twice")
