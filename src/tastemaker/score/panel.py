"""Several scorers before the same images: one trunk looks once for all whose scores are read off its embeddings.

What a trunk makes of a prompt depends, in the last bit, on what else stood in its batch. So prompts are encoded in
fixed chunks of the run's list of prompts, whichever of them is asked for: every worker gets the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from tastemaker.score.batches import Problem, score_rows
from tastemaker.score.scorer import EmbeddingScorer, PixelScorer, Scorer, Trunk
from tastemaker.score.view import View, transform_of

CHUNK = 64
"""Prompts encoded at a time."""
CHUNKS = 1024
"""Chunks of embeddings kept: 256 MiB at 1024 numbers each."""
Asked = tuple[View, int]
"""An image and the place of the prompt in the run's list."""


@dataclass
class Book:
    """The prompts of a run as one trunk reads them."""

    trunk: Trunk
    prompts: Sequence[str]
    _known: dict[int, np.ndarray] = field(default_factory=dict)

    def embeddings(self, places: Sequence[int]) -> np.ndarray:
        """float32 [n, D] of the prompts at ``places``."""
        return np.stack([self._chunk(place // CHUNK)[place % CHUNK] for place in places])

    def _chunk(self, number: int) -> np.ndarray:
        if number not in self._known:
            if len(self._known) >= CHUNKS:
                self._known.pop(next(iter(self._known)))
            self._known[number] = self.trunk.prompts(self.prompts[number * CHUNK : (number + 1) * CHUNK])
        return self._known[number]


@dataclass
class Seen:
    """What one trunk made of the images of a block."""

    trunk: Trunk
    known: dict[str, np.ndarray] = field(default_factory=dict)

    def embeddings(self, views: Sequence[View]) -> np.ndarray:
        """float32 [n, D]; an image that was met before is not looked at again."""
        fresh = list({view.sha: view for view in views if view.sha not in self.known}.values())
        if fresh:
            looked = self.trunk.images(_pixels(self.trunk.transform, fresh))
            self.known.update(zip([view.sha for view in fresh], looked, strict=True))
        return np.stack([self.known[view.sha] for view in views])


class Panel:
    """The scorers of a run in one process.

    `answer` may be called for them in any order; images met again in the same block are not looked at again by a
    trunk. Call `forget` after a block.
    """

    def __init__(self, scorers: Sequence[Scorer], prompts: Sequence[str]) -> None:
        self._scorers = {scorer.id: scorer for scorer in scorers}
        self._prompts = prompts
        trunks = {trunk.id: trunk for scorer in scorers if (trunk := trunk_of(scorer))}
        self._books = {name: Book(trunk, prompts) for name, trunk in trunks.items()}
        self.seen = {name: Seen(trunk) for name, trunk in trunks.items()}

    def forget(self) -> None:
        """A new block begins."""
        for seen in self.seen.values():
            seen.known.clear()

    def answer(self, name: str, rows: Sequence[Asked]) -> tuple[np.ndarray, dict[int, Problem]]:
        """Raw scores of the scorer ``name``, float32 [n], NaN where a row has none, and the problems of those rows."""
        scorer = self._scorers[name]
        problems = {row: problem for row, (view, _) in enumerate(rows) if (problem := self._hidden(scorer, view))}
        clear = [row for row in range(len(rows)) if row not in problems]
        raw = np.full(len(rows), np.nan, np.float32)
        if clear:
            raw[clear], found = score_rows(lambda part: self._ask(scorer, part), [rows[row] for row in clear])
            problems |= {clear[row]: problem for row, problem in found.items()}
        return raw, problems

    def _hidden(self, scorer: Scorer, view: View) -> Problem | None:
        """Why ``scorer`` cannot see an image."""
        trunk, transform = trunk_of(scorer), transform_of(scorer)
        if trunk and view.sha in self.seen[trunk.id].known:
            return None
        shown = view.whole if transform is None else view.through(transform)
        return shown if isinstance(shown, Problem) else None

    def _ask(self, scorer: Scorer, rows: Sequence[Asked]) -> np.ndarray:
        views, places = [view for view, _ in rows], [place for _, place in rows]
        if trunk := trunk_of(scorer):
            prompts = self._books[trunk.id].embeddings(places) if scorer.uses_prompt else None
            return cast(EmbeddingScorer, scorer).head(self.seen[trunk.id].embeddings(views), prompts)
        texts = [self._prompts[place] for place in places]
        if transform := transform_of(scorer):
            return cast(PixelScorer, scorer).score_pixels(texts, _pixels(transform, views))
        return scorer.score(texts, [view.whole for view in views])  # type: ignore[misc]


def trunk_of(scorer: Scorer) -> Trunk | None:
    """The trunk of an `EmbeddingScorer`, None for another."""
    found: Trunk | None = getattr(scorer, "trunk", None)
    return found


def _pixels(transform: object, views: Sequence[View]) -> np.ndarray:
    return np.stack([view.pixels[transform] for view in views])  # type: ignore[index,misc]
