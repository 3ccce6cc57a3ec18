"""One shard of work: decode each image once, ask the scorer, write down what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
    for sha in (sha for sha in shard if sha not in store):
        unreadable += _failed(sha, shard[sha], "image_missing", "not in the image store; import the data again")
    for sha, data in store.read_many(sha for sha in shard if sha in store):
        prompts = shard[sha]
        try:
            image = decode(data)
        except ImageProblem as problem:
            unreadable += _failed(sha, prompts, problem.reason, problem.detail)
            continue
        if uses_prompt:
            yield from (Question(sha, image, prompt, (prompt_sha,)) for prompt_sha, prompt in prompts.items())
        else:
            yield Question(sha, image, next(iter(prompts.values())), tuple(prompts))


def _answers(scorer: Scorer, batch: Sequence[Question]) -> list[Row]:
    raw, problems = score_rows(scorer, [one.prompt for one in batch], [one.image for one in batch])
    rows: list[Row] = []
    for place, one in enumerate(batch):
        if problem := problems.get(place):
            rows += _failed(one.sha, one.prompt_shas, problem.reason, problem.detail)
        else:
            rows += [Row(one.sha, prompt_sha, float(raw[place])) for prompt_sha in one.prompt_shas]
    return rows


def _failed(sha: str, prompt_shas: Iterable[str], reason: str, detail: str) -> list[Row]:
    return [Row(sha, prompt_sha, None, reason, detail) for prompt_sha in prompt_shas]
