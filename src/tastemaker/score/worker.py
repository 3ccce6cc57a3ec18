"""One worker of a run: read and decode a block's images, ask the scorers, write down what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from tastemaker.base.allocator import keep_freed_memory
from tastemaker.base.errors import UserError
from tastemaker.data.intake import THREADS
from tastemaker.data.store import ImageStore
from tastemaker.score.batches import Problem
from tastemaker.score.blocks import Block, Job
from tastemaker.score.embeddings import Embeddings
from tastemaker.score.panel import Panel, trunk_of
from tastemaker.score.shards import Row, write_shard
from tastemaker.score.view import View, hidden, look, needs_of

HOPELESS = 32
"""A scorer that fails on this many rows and succeeds on none of the block is broken itself (no memory, no weights)."""


@dataclass
class Answers:
    """What is known of a block: rows of each scorer, and each trunk's embeddings of its images where they are kept."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    embeddings: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def add(self, other: Answers) -> None:
        """Take in another part of the same block, the next in order."""
        for name, rows in other.rows.items():
            self.rows.setdefault(name, []).extend(rows)
        for name, known in other.embeddings.items():
            self.embeddings.setdefault(name, {}).update(known)


def stored_for(job: Job) -> Embeddings:
    """What the trunks of the run have seen before."""
    return Embeddings(job.data, frozenset(trunk.id for scorer in job.scorers if (trunk := trunk_of(scorer))))


class Eyes:
    """Reads and decodes images; needs no model."""

    def __init__(self, job: Job, stored: Embeddings | None = None) -> None:
        self._store = ImageStore(job.data)
        self._stored = stored or stored_for(job)
        self._needs = needs_of(job.scorers)
        self._unseen = needs_of([one for one in job.scorers if not trunk_of(one)])

    def look(self, shas: Sequence[str], pool: Executor | None = None) -> list[View]:
        """The images ``shas`` in that order. Those whose embeddings are stored are only decoded for other scorers."""
        data = dict(self._store.read_many(sha for sha in shas if sha in self._store))
        return list((pool.map if pool else map)(lambda sha: self._view(sha, data.get(sha)), shas))

    def _view(self, sha: str, data: bytes | None) -> View:
        if data is None:
            return hidden(sha, Problem("image_missing", "not in the image store; import the data again"))
        needs = self._unseen if self._stored.has(sha) else self._needs
        return look(sha, data, needs) if needs.whole or needs.transforms else View(sha)


class Judge:
    """Asks the scorers."""

    def __init__(self, job: Job, stored: Embeddings | None = None) -> None:
        keep_freed_memory()
        self._job = job
        self._stored = stored or stored_for(job)
        self._panel = Panel(job.scorers, job.prompts)
        self._reads_prompt = {scorer.id: scorer.uses_prompt for scorer in job.scorers}

    def answer(self, block: Block, views: Sequence[View]) -> Answers:
        """The rows of ``block`` that are about ``views``, a batch of its images."""
        self._panel.forget()
        for name, seen in self._panel.seen.items():
            seen.known.update(self._stored.read(name, [view.sha for view in views]))
        places = {block.images.index(view.sha): view for view in views}
        rows = {name: self._rows(block, name, asked, places) for name, asked in block.asked.items()}
        kept = {name: dict(seen.known) for name, seen in self._panel.seen.items()} if self._job.keep_embeddings else {}
        return Answers(rows, kept)

    def _rows(self, block: Block, name: str, asked: np.ndarray, places: dict[int, View]) -> list[Row]:
        mine = np.flatnonzero(asked & np.isin(block.image, list(places)))
        groups = [[int(row)] for row in mine]
        if not self._reads_prompt[name]:  # asked once an image, with any of its prompts
            cuts = np.flatnonzero(np.diff(block.image[mine])) + 1
            groups = [part.tolist() for part in np.split(mine, cuts) if len(part)]
        size = self._job.batch_size
        parts = (groups[start : start + size] for start in range(0, len(groups), size))
        return [row for part in parts for row in self._answered(block, name, part, places)]

    def _answered(self, block: Block, name: str, groups: list[list[int]], places: dict[int, View]) -> Iterator[Row]:
        asked = [(places[int(block.image[first])], int(block.prompt[first])) for first, *_ in groups]
        raw, problems = self._panel.answer(name, asked)
        for number, (group, (view, _)) in enumerate(zip(groups, asked, strict=True)):
            problem = problems.get(number)
            why = (problem.reason, problem.detail) if problem else (None, None)
            score = None if problem else float(raw[number])
            yield from (Row(view.sha, self._job.prompt_shas[block.prompt[row]], score, *why) for row in group)


class Worker:
    """A process of its own, or the run's."""

    def __init__(self, job: Job) -> None:
        self._job = job
        stored = stored_for(job)
        self._eyes, self._judge = Eyes(job, stored), Judge(job, stored)
        self._trusted = set(job.trusted)

    def carry_out(self, block: Block, tick: Callable[[int], object] = int) -> int:
        """Score and write one block; returns its rows. One batch of images is held, and the next one decoded."""
        answers = Answers()
        with ThreadPoolExecutor(THREADS) as decoders, ThreadPoolExecutor(1) as reader:
            batches = list(block.batches(self._job.batch_size))
            coming = reader.submit(self._eyes.look, batches[0], decoders)
            for following in [*batches[1:], None]:
                views = coming.result()
                coming = reader.submit(self._eyes.look, following, decoders) if following else coming
                part = self._judge.answer(block, views)
                tick(sum(map(len, part.rows.values())))
                answers.add(part)
        self._trusted |= write(self._job, answers, self._trusted)
        return block.rows


def write(job: Job, answers: Answers, trusted: set[str]) -> set[str]:
    """Write a whole block into the ledgers; returns the scorers that have scored something.

    Raises `UserError` when a scorer fails on all of it and they are many, or it is not ``trusted`` yet: then the scorer
    is at fault, and quarantining all of the data would hide it.
    """
    for name, rows in answers.rows.items():
        own = [row for row in rows if not (row.reason or "").startswith("image_")]
        if own and all(row.raw is None for row in own) and (len(own) >= HOPELESS or name not in trusted):
            raise UserError(f"{name}: cannot score any of {len(own)} rows: {own[0].reason} ({own[0].detail})")
    for name, known in answers.embeddings.items():
        Embeddings(job.data, frozenset([name])).write(name, known)
    for name, rows in answers.rows.items():
        write_shard(job.folders[name], rows)
    return {name for name, rows in answers.rows.items() if any(row.raw is not None for row in rows)}
