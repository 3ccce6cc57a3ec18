"""Small data folders, and scorers to fill them with."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tastemaker.base.files import sha256_bytes
from tastemaker.data.comparison import Comparison
from tastemaker.data.store import write_comparisons, write_images


def png(red: int, green: int = 0) -> bytes:
    """A small image that is known by its colour."""
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (red, green, 0)).save(file, "PNG")
    return file.getvalue()


def sha(red: int, green: int = 0) -> str:
    """How the store calls `png`."""
    return sha256_bytes(png(red, green))


def write_data(data: Path, comparisons: Sequence[Comparison], images: Sequence[bytes]) -> Path:
    """A data folder as the verb import leaves it."""
    write_images(data, images)
    write_comparisons(data, comparisons)
    return data


@dataclass
class RedScorer:
    """Raw score = red value / 100, plus the prompt's length / 1000 if it reads prompts. Remembers what it was asked."""

    id: str = "red@1"
    calibration: str = "identity"
    uses_prompt: bool = True
    broken: frozenset[int] = frozenset()
    """Reds at which it raises."""
    asked: list[list[tuple[str, int]]] = field(default_factory=list)

    def score(self, prompts: Sequence[str], images: Sequence[Image.Image]) -> np.ndarray:
        reds = [image.getpixel((0, 0))[0] for image in images]
        self.asked.append(list(zip(prompts, reds, strict=True)))
        if self.broken & set(reds):
            raise RuntimeError("a red rag")
        lengths = [len(prompt) * self.uses_prompt for prompt in prompts]
        return np.array(reds, np.float32) / 100 + np.array(lengths, np.float32) / 1000

    @property
    def questions(self) -> list[tuple[str, int]]:
        """Every (prompt, red) it was asked."""
        return [question for batch in self.asked for question in batch]
