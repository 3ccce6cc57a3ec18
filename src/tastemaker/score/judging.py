"""One shard of work: decode each image once, ask the scorer, write down what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from PIL.Image import Image

from tastemaker.base.errors import UserError
from tastemaker.data.images import ImageProblem, decode
from tastemaker.data.store import ImageStore
from tastemaker.score.batches import score_rows
from tastemaker.score.scorer import Scorer
from tastemaker.score.shards import Row
from tastemaker.score.work import Work

HOPELESS = 32
"""A scorer that fails on this many rows and succeeds on none of the shard is broken itself (no memory, no weights)."""


@dataclass(frozen=True)
class Question:
    """A decoded image, the prompt to judge it by, and the prompts whose score the answer settles."""

    sha: str
    image: Image
    prompt: str
    prompt_shas: tuple[str, ...]


def judge(
    scorer: Scorer, store: ImageStore, shard: Work, batch_size: int, *, trusted: bool, tick: Callable[[int], object]
) -> list[Row]:
    """The rows of ``shard``; only one batch of decoded images is held at a time. ``tick`` is told of rows done.

    Raises `UserError` when the scorer fails on all of them and they are many, or it is not ``trusted`` yet (it has
    scored nothing before): then the scorer is at fault, and quarantining all of the data would hide it.
    """
    rows: list[Row] = []
    unreadable: list[Row] = []
    questions = _questions(store, shard, scorer.uses_prompt, unreadable)
    while batch := list(islice(questions, batch_size)):
        answers = _answers(scorer, batch)
        tick(len(answers))
        rows += answers
    if rows and all(row.raw is None for row in rows) and (len(rows) >= HOPELESS or not trusted):
        raise UserError(f"{scorer.id}: cannot score any of {len(rows)} rows: {rows[0].reason} ({rows[0].detail})")
    tick(len(unreadable))
    return rows + unreadable


def _questions(store: ImageStore, shard: Work, uses_prompt: bool, unreadable: list[Row]) -> Iterator[Question]:
    """One question a row, or one an image for a scorer that reads no prompt. What cannot be decoded is set aside."""
    absent = dict(shard)
    for sha, data in store.read_many(list(shard)):
        prompts = absent.pop(sha)
        try:
            image = decode(data)
        except ImageProblem as problem:
            unreadable += [Row(sha, prompt_sha, None, problem.reason, problem.detail) for prompt_sha in prompts]
            continue
        if uses_prompt:
            yield from (Question(sha, image, prompt, (prompt_sha,)) for prompt_sha, prompt in prompts.items())
        else:
            yield Question(sha, image, next(iter(prompts.values())), tuple(prompts))
    for sha, prompts in absent.items():
        unreadable += [Row(sha, prompt_sha, None, "missing image", "not in the image store") for prompt_sha in prompts]


def _answers(scorer: Scorer, batch: Sequence[Question]) -> list[Row]:
    raw, problems = score_rows(scorer, [one.prompt for one in batch], [one.image for one in batch])
    rows = []
    for place, one in enumerate(batch):
        problem = problems.get(place)
        for prompt_sha in one.prompt_shas:
            if problem is None:
                rows.append(Row(one.sha, prompt_sha, float(raw[place])))
            else:
                rows.append(Row(one.sha, prompt_sha, None, problem.reason, problem.detail))
    return rows
