"""A block of a run: rows that are scored and written together, and what a worker must know to do so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tastemaker.score.scorer import Scorer
from tastemaker.score.work import Work


@dataclass(frozen=True)
class Block:
    """n rows, sorted by image; the prompts of one image stay together."""

    number: int
    """Its place among all blocks of the run, done or not."""
    images: tuple[str, ...]
    """Distinct shas."""
    image: np.ndarray
    """int64 [n]: place in `images`."""
    prompt: np.ndarray
    """int64 [n]: place in the run's prompts."""
    asked: Mapping[str, np.ndarray]
    """Scorer id → bool [n]: which rows that scorer has still to score."""

    @property
    def rows(self) -> int:
        """How many scores are asked for."""
        return sum(int(asked.sum()) for asked in self.asked.values())

    def batches(self, size: int) -> Iterator[tuple[str, ...]]:
        """Its images, ``size`` at a time."""
        return (self.images[start : start + size] for start in range(0, len(self.images), size))


@dataclass(frozen=True)
class Job:
    """What every worker of a run knows; it is sent to processes and machines."""

    data: Path
    folders: Mapping[str, Path]
    """Scorer id → where its shards go."""
    scorers: Sequence[Scorer]
    prompts: Sequence[str]
    prompt_shas: Sequence[str]
    batch_size: int
    trusted: frozenset[str]
    """Scorers that have scored something before: a block on which they fail is the block's fault."""
    keep_embeddings: bool = False


def blocks_of(work: Work, rows: int, done: Mapping[str, np.ndarray]) -> Iterator[Block]:
    """The blocks of about ``rows`` rows in which something is left; ``done`` [len(work)] are each scorer's rows.

    A block's images are those of the rows that are left, so that nothing else is decoded.
    """
    for number, part in enumerate(work.blocks(rows)):
        asked = {scorer: ~scored[part] for scorer, scored in done.items()}
        left = np.logical_or.reduce(list(asked.values()))
        if left.any():
            images, image = np.unique(work.image[part][left], return_inverse=True)
            shas = tuple(work.images.take(images).to_pylist())
            wanted = {scorer: rows[left] for scorer, rows in asked.items() if rows.any()}
            yield Block(number, shas, image, work.prompt[part][left], wanted)
