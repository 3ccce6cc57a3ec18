"""The world's scorers: a small CLIP that stands in for a reward model, and the truth that only evaluation reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tastemaker.base.draw import numbers
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes, sha256_file
from tastemaker.world.assets import SCORER
from tastemaker.world.captions import parse
from tastemaker.world.render import SIDE, Array
from tastemaker.world.utility import shapes, utilities, verdicts

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import CLIPModel, CLIPTokenizer


def pixels(image: Image) -> Array:
    """[SIDE, SIDE, 3] in [0, 1]; images of another size are scaled."""
    small = image.convert("RGB")
    if small.size != (SIDE, SIDE):
        small = small.resize((SIDE, SIDE))
    return np.asarray(small, np.float32) / np.float32(255)


@dataclass(frozen=True)
class WorldScorer:
    """exp(logit scale) · cos(image, caption) of a small contrastive model trained on true renders.

    ``noise`` adds keyed normal noise of that standard deviation to the raw score, which makes weaker scorers;
    ``path`` is another trained scorer's folder.
    """

    noise: float = 0.0
    path: str = str(SCORER)

    calibration: ClassVar[str] = "standardise"
    uses_prompt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.noise < math.inf:
            raise UserError(f"world: noise={self.noise}: give 0 or a positive number")
        if not (Path(self.path) / "model.safetensors").is_file():
            raise UserError(f"world: path={self.path}: no scorer there; train one with `tastemaker world scorer`")

    @property
    def id(self) -> str:
        """For example ``world@1a2b3c4d`` or ``world@1a2b3c4d-noise2``."""
        return f"world@{_revision(self.path)}" + (f"-noise{self.noise:g}" if self.noise else "")

    def score(self, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Raw scores, float32 [n]."""
        import torch

        model, tokens = _load(self.path)
        inputs = tokens(list(prompts), padding=True, truncation=True, return_tensors="pt")
        pictures = np.stack([pixels(image) for image in images])
        with torch.no_grad():
            shown = torch.from_numpy(pictures).permute(0, 3, 1, 2) * 2 - 1
            out = model(pixel_values=shown, **inputs)
            raw = model.logit_scale.exp() * (out.image_embeds * out.text_embeds).sum(-1)
        return raw.numpy() + self._disturbance(prompts, pictures)

    def _disturbance(self, prompts: Sequence[str], pictures: Array) -> np.ndarray | float:
        if not self.noise:
            return 0.0
        keys = [(prompt, sha256_bytes(picture.tobytes())) for prompt, picture in zip(prompts, pictures, strict=True)]
        drawn = [numbers("weaker", *key).standard_normal() for key in keys]
        return np.asarray(self.noise * np.array(drawn), np.float32)


@cache
def _load(path: str) -> tuple[CLIPModel, CLIPTokenizer]:
    from transformers import CLIPModel, CLIPTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    return CLIPModel.from_pretrained(path).eval(), CLIPTokenizer.from_pretrained(path)


@cache
def _revision(path: str) -> str:
    return sha256_file(Path(path) / "model.safetensors")[:8]


@dataclass(frozen=True)
class Utility:
    """The true utility of `world.utility`, in [0, 1]; for evaluation, never for training or ranking."""

    id: ClassVar[str] = "world-utility@1"
    calibration: ClassVar[str] = "identity"
    uses_prompt: ClassVar[bool] = True

    def score(self, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Utilities, float32 [n]; raises `UserError` for a prompt that is no caption of the world."""
        return utilities([pixels(image) for image in images], [parse(prompt) for prompt in prompts])


@dataclass(frozen=True)
class Correct:
    """1 for an image that shows every attribute of its caption, else 0; for evaluation."""

    id: ClassVar[str] = "world-correct@1"
    calibration: ClassVar[str] = "identity"
    uses_prompt: ClassVar[bool] = True

    def score(self, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Verdicts, float32 [n]."""
        return verdicts([pixels(image) for image in images], [parse(prompt) for prompt in prompts])


@dataclass(frozen=True)
class Shapes:
    """1 for an image whose shapes are the caption's, 0 for one with a wrong or missing shape: an "abnormal" flag."""

    id: ClassVar[str] = "world-shapes@1"
    calibration: ClassVar[str] = "identity"
    uses_prompt: ClassVar[bool] = True

    def score(self, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Verdicts, float32 [n]."""
        return shapes([pixels(image) for image in images], [parse(prompt) for prompt in prompts])
