"""Small reward models of every kind, which write down what they were asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tastemaker.base.draw import numbers
from tastemaker.score.scorer import ThroughPixels, ThroughTrunk

SIDE, SPACE = 4, 16


@dataclass(frozen=True)
class Shrink:
    """[3, 4, 4] in [0, 1]; refuses an image of one pixel's width."""

    side: int = SIDE

    def __call__(self, image: Image.Image) -> np.ndarray:
        if image.width == 1:
            raise ValueError("too thin")
        small = np.asarray(image.resize((self.side, self.side)), np.float32)
        return small.transpose(2, 0, 1) / np.float32(255)


@dataclass(frozen=True)
class ToyTrunk:
    """A random projection. ``log`` gets a line a call: the side, and how many."""

    log: Path | None = None
    transform: Shrink = field(default_factory=Shrink)
    id: str = "toy@1"

    def images(self, pixels: np.ndarray) -> np.ndarray:
        self._note("images", len(pixels))
        matrix = numbers("toy").standard_normal((3 * SIDE * SIDE, SPACE)).astype(np.float32)
        return unit(pixels.reshape(len(pixels), -1) @ matrix)

    def prompts(self, prompts: Sequence[str]) -> np.ndarray:
        self._note("prompts", len(prompts))
        return unit(np.stack([numbers("toy", prompt).standard_normal(SPACE).astype(np.float32) for prompt in prompts]))

    def _note(self, what: str, count: int) -> None:
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{what} {count}\n")


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@dataclass(frozen=True)
class Fitting(ThroughTrunk):
    """The cosine; raises on prompts with the word in ``refuses``."""

    trunk: ToyTrunk = field(default_factory=ToyTrunk)
    id: str = "fitting@1"
    calibration: str = "identity"
    uses_prompt: bool = True

    def head(self, images: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
        assert prompts is not None
        return (images * prompts).sum(1)


@dataclass(frozen=True)
class Pretty(ThroughTrunk):
    """The first number of the embedding, whatever the prompt."""

    trunk: ToyTrunk = field(default_factory=ToyTrunk)
    id: str = "pretty@1"
    calibration: str = "standardise"
    uses_prompt: bool = False

    def head(self, images: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
        assert prompts is None
        return images[:, 0].copy()


@dataclass(frozen=True)
class Bright(ThroughPixels):
    """Mean of the pixels, and the prompt's length in thousands."""

    transform: Shrink = field(default_factory=Shrink)
    id: str = "bright@1"
    calibration: str = "identity"
    uses_prompt: bool = True

    def score_pixels(self, prompts: Sequence[str], pixels: np.ndarray) -> np.ndarray:
        return pixels.mean((1, 2, 3)) + np.array([len(prompt) for prompt in prompts], np.float32) / 1000
