"""The models that look at generated images: scorers, a trunk whose embeddings are wanted, classifiers.

An image is decoded once for all of them, and a trunk looks once for all scorers that compare in its space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.data.intake import THREADS
from tastemaker.evaluate.options import Judges
from tastemaker.score.batches import Problem
from tastemaker.score.panel import Asked, Panel
from tastemaker.score.view import Needs, look, needs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tastemaker.evaluate.classifier import Classifier
    from tastemaker.score.scorer import Scorer

    Rows = NDArray[np.float32]
    """What a model says of the images, one row each."""

WHOLE = Needs(True, frozenset())
NOTHING: Rows = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Question:
    """What one model is asked about every image."""

    key: str
    """Equal keys have equal answers."""
    needs: Needs
    ask: Callable[[Sequence[Asked]], tuple[Rows, dict[int, Problem]]]
    """Numbers [n, d] of n images, and why some of them have none."""


class Jury:
    """All models of a run, in one process; ``prompts`` are those of the images, in any order."""

    def __init__(self, judges: Judges, prompts: Sequence[str]) -> None:
        self._place = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
        embedding = [judges.embedding] if judges.embedding else []
        self._panel = Panel([*judges.scorers, *embedding], list(self._place))
        classifiers = [judges.classifier, judges.safety.classifier if judges.safety else None]
        asked = [*map(self._score, judges.scorers), *map(self._embedding, embedding)]
        asked += [_classification(one) for one in classifiers if one]
        self.questions = list({question.key: question for question in asked}.values())

    def answer(self, wanted: Sequence[Question], prompts: Sequence[str], pngs: Sequence[bytes]) -> Iterator[Rows]:
        """Numbers [n, d] for each question that is ``wanted``; raises `Unseen` for the first image that has none."""
        needs = Needs(
            any(question.needs.whole for question in wanted),
            frozenset().union(*(question.needs.transforms for question in wanted)),
        )
        with ThreadPoolExecutor(THREADS) as pool:
            views = list(pool.map(lambda png: look(files.sha256_bytes(png), png, needs), pngs))
        rows = [(view, self._place[prompt]) for view, prompt in zip(views, prompts, strict=True)]
        self._panel.forget()
        for question in wanted:
            found, problems = question.ask(rows)
            if problems:
                raise Unseen(min(problems), question.key, problems[min(problems)])
            yield found

    def _score(self, scorer: Scorer) -> Question:
        def ask(rows: Sequence[Asked]) -> tuple[Rows, dict[int, Problem]]:
            raw, problems = self._panel.answer(scorer.id, rows)
            return raw[:, None], problems

        return Question(score_key(scorer.id), needs_of([scorer]), ask)

    def _embedding(self, scorer: Scorer) -> Question:
        trunk = scorer.trunk  # type: ignore[attr-defined]

        def ask(rows: Sequence[Asked]) -> tuple[Rows, dict[int, Problem]]:
            views = [view for view, _ in rows]
            if problems := _problems([view.through(trunk.transform) for view in views]):
                return NOTHING, problems
            return self._panel.seen[trunk.id].embeddings(views), {}

        return Question(embedding_key(trunk.id), needs_of([scorer]), ask)


class Unseen(Exception):
    """A model says nothing of the image in ``row`` of a batch."""

    def __init__(self, row: int, key: str, problem: Problem) -> None:
        super().__init__(row, key, problem)
        self.row = row
        self.said = f"{key}: {problem.reason} ({problem.detail})"


def score_key(scorer: str) -> str:
    """How the scores of a scorer (id) are found again."""
    return f"score {scorer}"


def embedding_key(trunk: str) -> str:
    """How the embeddings of a trunk (id) are found again."""
    return f"embedding {trunk}"


def classifier_key(classifier: str) -> str:
    """How the logits of a classifier (id) are found again."""
    return f"classes {classifier}"


def _classification(classifier: Classifier) -> Question:
    def ask(rows: Sequence[Asked]) -> tuple[Rows, dict[int, Problem]]:
        shown = [view.whole for view, _ in rows]
        if problems := _problems(shown):
            return NOTHING, problems
        found = np.asarray(classifier.logits(shown), np.float32)  # type: ignore[arg-type]
        if found.shape != (len(rows), len(classifier.classes)):
            raise UserError(f"{classifier.id}: answers with shape {list(found.shape)} for {len(rows)} images")
        odd = np.flatnonzero(~np.isfinite(found).all(axis=1))
        return found, {int(row): Problem("classifier_not_finite", "a logit is no finite number") for row in odd}

    return Question(classifier_key(classifier.id), WHOLE, ask)


def _problems(shown: Sequence[object]) -> dict[int, Problem]:
    return {row: problem for row, problem in enumerate(shown) if isinstance(problem, Problem)}
