"""Calling a scorer so that one bad row costs that row alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL.Image import Image

from tastemaker.base.errors import UserError
from tastemaker.score.scorer import Scorer

T = TypeVar("T")


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
    rows = list(zip(prompts, images, strict=True))
    raw = np.empty(len(rows), np.float32)

    def ask(part: Sequence[tuple[str, Image]]) -> np.ndarray:
        return scorer.score([prompt for prompt, _ in part], [image for _, image in part])

    for start in range(0, len(rows), batch_size):
        raw[start : start + batch_size], problems = score_rows(ask, rows[start : start + batch_size])
        for row, problem in sorted(problems.items()):
            raise UserError(f"{scorer.id}: image {start + row} cannot be scored: {problem.reason} ({problem.detail})")
    return raw


def score_rows(ask: Callable[[Sequence[T]], np.ndarray], rows: Sequence[T]) -> tuple[np.ndarray, dict[int, Problem]]:
    """Raw scores of one batch, float32 [n] with NaN where a row has none, and the problems of those rows.

    A batch for which ``ask`` raises, runs out of memory, or answers with another shape or a number that is not
    finite, is cut in halves until the bad row stands alone. `UserError` passes through: it is about the scorer itself.
    """
    try:
        return _answer(ask, rows), {}
    except UserError:
        raise
    except BadAnswer as error:
        problem = error.problem
    except Exception as error:  # whatever a model's code may raise
        problem = Problem("out_of_memory" if _is_memory(error) else "scorer_raised", _one_line(error))
    if problem.reason == "out_of_memory":
        _free_memory()  # the failed batch's tensors went with the exception
    if len(rows) == 1:
        return np.full(1, np.nan, np.float32), {0: problem}
    return _halves(ask, rows)


def _halves(ask: Callable[[Sequence[T]], np.ndarray], rows: Sequence[T]) -> tuple[np.ndarray, dict[int, Problem]]:
    middle = len(rows) // 2
    left, left_problems = score_rows(ask, rows[:middle])
    right, right_problems = score_rows(ask, rows[middle:])
    problems = left_problems | {middle + row: problem for row, problem in right_problems.items()}
    return np.concatenate([left, right]), problems


def _answer(ask: Callable[[Sequence[T]], np.ndarray], rows: Sequence[T]) -> np.ndarray:
    raw = np.asarray(ask(rows))
    if raw.shape != (len(rows),):
        raise BadAnswer(Problem("scorer_wrong_shape", f"{list(raw.shape)} for {len(rows)} images"))
    raw = raw.astype(np.float32)
    if not np.isfinite(raw).all():
        raise BadAnswer(Problem("scorer_not_finite", str(raw[~np.isfinite(raw)][0])))
    return raw


def _is_memory(error: Exception) -> bool:
    """Python's, NumPy's and CUDA's way to say it; the CPU allocator of torch has no class of its own."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "not enough memory" in str(error))
    )


def _free_memory() -> None:
    """Give the caching allocator's blocks back, or the halves find no room beside them."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
