"""CLIP score: how well an image fits its prompt, by a CLIP that saw no preferences (arXiv 2104.08718)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tastemaker.score.clip.text import OPENAI, ClipText
from tastemaker.score.clip.trunk import ClipTrunk, ThroughClip, cosine
from tastemaker.score.clip.weights import ClipWeights, OpenClipFile, TransformersFolder
from tastemaker.score.device import Dtype
from tastemaker.score.transform import CentreCrop

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class ClipScore(ThroughClip):
    """cos(image, prompt), about 0.20–0.33 for OpenAI's ViT-L/14; ψ = max(cos, 0).

    Others report 100 · max(cos, 0), or 2.5 · max(cos, 0) with "A photo depicts" before each prompt (arXiv 2104.08718).
    Numbers of different backbones are not to be compared, so the id names it.

    ``checkpoint`` is a hub id or a folder of transformers, or a file in open_clip's layout, with ``config`` its JSON.
    ``tokenizer`` is the checkpoint's own where it is not given and the checkpoint is no file.
    """

    checkpoint: str = OPENAI
    tokenizer: str = ""
    config: str = ""
    dtype: Dtype = "float32"
    device: str = "auto"

    name: ClassVar[str] = "clip"
    calibration: ClassVar[str] = "identity"

    @property
    def id(self) -> str:
        """For example ``clip@clip-vit-large-patch14-1a2b3c4d5e6f``, with the precision where it is not float32."""
        local = Path(self.checkpoint)
        backbone = local.resolve().name if local.exists() else Path(self.checkpoint.partition("@")[0]).name
        return f"{self.name}@{backbone}-{self.trunk.revision}{self.trunk.suffix}"

    @cached_property
    def trunk(self) -> ClipTrunk:
        """OpenAI's text cleaning and crop."""
        is_file = Path(self.checkpoint).is_file()
        text = ClipText(self.name, self.tokenizer or (OPENAI if is_file else self.checkpoint))
        weights = self._weights(is_file)
        transform = CentreCrop(weights.side, "torchvision")
        return ClipTrunk(self.name, weights, text, transform, self.dtype, self.device)

    def _weights(self, is_file: bool) -> ClipWeights:
        if is_file:
            return OpenClipFile(self.name, self.checkpoint, self.checkpoint, self.config)
        return TransformersFolder(self.name, self.checkpoint)

    def head(self, images: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
        """The cosine itself, float32 [n], of embeddings [n, D]."""
        return cosine(images, prompts).astype("float32")
