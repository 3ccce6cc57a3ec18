"""Calling a scorer so that one bad row costs that row alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from tastemaker.base.errors import UserError
from tastemaker.score.scorer import Scorer


@dataclass(frozen=True)
class Problem:
    """Why a row has no score."""

    reason: str
    detail: str


class BadAnswer(Exception):
    """A scorer answered with something else than one finite number a row."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def score_batch(scorer: Scorer, prompts: Sequence[str], images: Sequence[Image], batch_size: int = 64) -> np.ndarray:
    """Raw scores, float32 [n], of n (prompt, image); raises `UserError` for the first row that cannot be scored."""
    assert len(prompts) == len(images)
    raw = np.empty(len(images), np.float32)
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        raw[part], problems = score_rows(scorer, prompts[part], images[part])
        for row, problem in sorted(problems.items()):
            raise UserError(f"{scorer.id}: image {start + row} cannot be scored: {problem.reason} ({problem.detail})")
    return raw


def score_rows(
    scorer: Scorer, prompts: Sequence[str], images: Sequence[Image]
) -> tuple[np.ndarray, dict[int, Problem]]:
    """Raw scores of one batch, float32 [n] with NaN where a row has none, and the problems of those rows.

    A batch on which the scorer raises, or answers with another shape or a number that is not finite, is cut in
    halves until the bad row stands alone. `UserError` passes through: it is about the scorer, not about a row.
    """
    try:
        return _answer(scorer, prompts, images), {}
    except UserError:
        raise
    except BadAnswer as error:
        problem = error.problem
    except Exception as error:  # whatever a model's code may raise
        problem = Problem("scorer_raised", f"{type(error).__name__}: {error}")
    if len(images) == 1:
        return np.full(1, np.nan, np.float32), {0: problem}
    return _halves(scorer, prompts, images)


def _halves(scorer: Scorer, prompts: Sequence[str], images: Sequence[Image]) -> tuple[np.ndarray, dict[int, Problem]]:
    middle = len(images) // 2
    left, left_problems = score_rows(scorer, prompts[:middle], images[:middle])
    right, right_problems = score_rows(scorer, prompts[middle:], images[middle:])
    problems = left_problems | {middle + row: problem for row, problem in right_problems.items()}
    return np.concatenate([left, right]), problems


def _answer(scorer: Scorer, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
    raw = np.asarray(scorer.score(prompts, images))
    if raw.shape != (len(images),):
        raise BadAnswer(Problem("scorer_wrong_shape", f"{list(raw.shape)} for {len(images)} images"))
    raw = raw.astype(np.float32)
    if not np.isfinite(raw).all():
        raise BadAnswer(Problem("scorer_not_finite", str(raw[~np.isfinite(raw)][0])))
    return raw
