"""An image as far as the scorers of a run need it: decoded once, each transform applied once.

This is the part of a run that needs no model: it runs in threads beside the scorer, or on machines without a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from tastemaker.data.images import ImageProblem, decode
from tastemaker.score.batches import Problem
from tastemaker.score.scorer import Scorer, Transform


@dataclass(frozen=True)
class Needs:
    """What the scorers of a run want to see of an image."""

    whole: bool
    """Whether one of them takes the decoded image itself."""
    transforms: frozenset[Transform]


@dataclass(frozen=True)
class View:
    """One image; what could not be made of it stands there as a problem."""

    sha: str
    whole: Image | Problem | None = None
    pixels: Mapping[Transform, np.ndarray | Problem] | Problem | None = None

    def through(self, transform: Transform) -> np.ndarray | Problem:
        """Its transformed pixels, float32 [3, H, W]."""
        assert self.pixels is not None, "the run has not asked for pixels"
        return self.pixels if isinstance(self.pixels, Problem) else self.pixels[transform]


def transform_of(scorer: Scorer) -> Transform | None:
    """How ``scorer`` wants its pixels; None for one that takes whole images."""
    trunk = getattr(scorer, "trunk", None)
    found: Transform | None = getattr(scorer if trunk is None else trunk, "transform", None)
    return found


def needs_of(scorers: Sequence[Scorer]) -> Needs:
    """What several scorers together want to see."""
    found = [transform_of(scorer) for scorer in scorers]
    return Needs(None in found, frozenset(transform for transform in found if transform is not None))


def look(sha: str, data: bytes, needs: Needs) -> View:
    """Decode an image and transform it; raises nothing but `MemoryError`."""
    try:
        image = decode(data)
    except ImageProblem as problem:
        return hidden(sha, Problem(problem.reason, problem.detail))
    pixels = {transform: _transformed(transform, image) for transform in needs.transforms}
    return View(sha, image if needs.whole else None, pixels)


def hidden(sha: str, problem: Problem) -> View:
    """An image that cannot be looked at."""
    return View(sha, problem, problem)


def _transformed(transform: Transform, image: Image) -> np.ndarray | Problem:
    try:
        return transform(image)
    except MemoryError:
        raise
    except Exception as error:  # odd sizes, of which there is no end
        text = " ".join(str(error).split())[:200]
        return Problem("image_not_transformed", f"{image.width} × {image.height}: {type(error).__name__}: {text}")
