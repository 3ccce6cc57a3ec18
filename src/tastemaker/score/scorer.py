"""What a reward model is to the rest of the project.

Every model is a `Scorer`. Two narrower protocols say more about how it looks at an image, so that several models of
one run share the work: a `PixelScorer` names the transform of its pixels, an `EmbeddingScorer` the trunk in whose
space it compares. A model opts in by deriving from `ThroughPixels` or `ThroughTrunk`, which give it `score`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


class Scorer(Protocol):
    """A judge of images: one raw number for each (prompt, image), higher is better.

    A row's number must not depend on the other rows of its batch: rows are scored once and kept.
    """

    @property
    def id(self) -> str:
        """``name@revision``; two scorers whose numbers may differ have different ids."""

    @property
    def calibration(self) -> str:
        """How a raw number becomes ψ ∈ [0, 1] unless the user says otherwise, as `rank.calibrate` reads it."""

    @property
    def uses_prompt(self) -> bool:
        """False for a scorer that looks at the image alone: it is asked once an image, with any of its prompts."""

    def score(self, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Raw scores, float32 [n], of n RGB images for their n prompts."""


@runtime_checkable
class Transform(Protocol):
    """From an RGB image to the numbers that a model reads. Equal transforms are equal values, and hashable."""

    def __call__(self, image: Image) -> np.ndarray:
        """Normalised pixels, float32 [3, H, W]; H and W are the same for every image."""


class Trunk(Protocol):
    """An encoder of images and prompts into one space, such as CLIP. Both sides have length 1."""

    @property
    def id(self) -> str:
        """Which weights these are; equal ids give equal embeddings."""

    @property
    def transform(self) -> Transform:
        """How it wants its pixels."""

    def images(self, pixels: np.ndarray) -> np.ndarray:
        """Embeddings, float32 [n, D] of length 1, of transformed pixels [n, 3, H, W]."""

    def prompts(self, prompts: Sequence[str]) -> np.ndarray:
        """Embeddings, float32 [n, D] of length 1."""


class PixelScorer(Scorer, Protocol):
    """A scorer that reads transformed pixels."""

    @property
    def transform(self) -> Transform:
        """How it wants its pixels."""

    def score_pixels(self, prompts: Sequence[str], pixels: np.ndarray) -> np.ndarray:
        """Raw scores, float32 [n], of n prompts and transformed pixels [n, 3, H, W]."""


class EmbeddingScorer(Scorer, Protocol):
    """A scorer that reads a trunk's embeddings alone."""

    @property
    def trunk(self) -> Trunk:
        """In whose space it compares."""

    def head(self, images: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
        """Raw scores, float32 [n], of embeddings [n, D]; ``prompts`` is None for a scorer that reads none."""


class ThroughPixels:
    """Gives a `PixelScorer` its `score`."""

    def score(self: PixelScorer, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Raw scores, float32 [n], of n RGB images for their n prompts."""
        return self.score_pixels(prompts, transformed(self.transform, images))


class ThroughTrunk:
    """Gives an `EmbeddingScorer` its `score`."""

    def score(self: EmbeddingScorer, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Raw scores, float32 [n], of n RGB images for their n prompts."""
        seen = self.trunk.images(transformed(self.trunk.transform, images))
        return self.head(seen, self.trunk.prompts(prompts) if self.uses_prompt else None)


def transformed(transform: Transform, images: Sequence[Image]) -> np.ndarray:
    """Pixels, float32 [n, 3, H, W], of n images."""
    import numpy as np

    return np.stack([transform(image) for image in images])
