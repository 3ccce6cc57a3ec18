"""PickScore: CLIP ViT-H/14 fine-tuned on Pick-a-Pic (Kirstain et al. 2023, arXiv 2305.01569)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from tastemaker.score.clip.text import ClipText
from tastemaker.score.clip.trunk import ClipTrunk, ThroughClip, cosine
from tastemaker.score.clip.weights import TransformersFolder
from tastemaker.score.device import Dtype
from tastemaker.score.transform import CentreCrop

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class PickScore(ThroughClip):
    """exp(logit scale) · cos(image, prompt), about 17–25; ψ wants the data set's own mean and standard deviation.

    ``checkpoint`` is the hub id or a folder of transformers; ``tokenizer`` another, for the published checkpoint has
    none of its own. Prompts are not cleaned and crops are cut as Hugging Face's processor does, as in training.
    """

    checkpoint: str = "yuvalkirstain/PickScore_v1"
    tokenizer: str = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
    dtype: Dtype = "float32"
    device: str = "auto"

    name: ClassVar[str] = "pickscore"
    calibration: ClassVar[str] = "standardise:3"

    @property
    def id(self) -> str:
        """For example ``pickscore@1a2b3c4d5e6f``, with the precision where it is not float32."""
        return f"{self.name}@{self.trunk.revision}{self.trunk.suffix}"

    @cached_property
    def trunk(self) -> ClipTrunk:
        """Raw text, the middle of the image."""
        weights = TransformersFolder(self.name, self.checkpoint)
        text = ClipText(self.name, self.tokenizer, cleaned=False)
        return ClipTrunk(self.name, weights, text, CentreCrop(weights.side, "hf"), self.dtype, self.device)

    def head(self, images: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
        """The scaled cosine, float32 [n], of embeddings [n, D]."""
        return (self.trunk.scale * cosine(images, prompts)).astype("float32")
