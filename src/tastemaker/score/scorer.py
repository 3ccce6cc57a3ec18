"""What a reward model is to the rest of the project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

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
