"""HPSv2 and HPSv2.1: CLIP ViT-H/14 fine-tuned on human preferences (Wu et al. 2023, arXiv 2306.09341)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from tastemaker.score.clip.text import OPENAI, ClipText
from tastemaker.score.clip.trunk import ClipTrunk, ThroughClip, cosine
from tastemaker.score.clip.weights import OpenClipFile
from tastemaker.score.device import Dtype
from tastemaker.score.transform import PadToSquare

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class HPSv2(ThroughClip):
    """cos(image, prompt), about 0.20–0.33; the authors' tables show it times 100.

    ``checkpoint`` is the hub id, a folder with the authors' file, or that file; ``config`` open_clip's JSON of a model
    that is no ViT-H/14. ``antialias=False`` shrinks images as torchvision did before 0.17: the first published
    numbers. The authors' code rounds to float16 on a GPU, which makes ties; here float32 is the default.
    """

    checkpoint: str = "xswu/HPSv2"
    tokenizer: str = OPENAI
    config: str = ""
    antialias: bool = True
    dtype: Dtype = "float32"
    device: str = "auto"

    name: ClassVar[str] = "hpsv2"
    file: ClassVar[str] = "HPS_v2_compressed.pt"
    calibration: ClassVar[str] = "identity"

    @property
    def id(self) -> str:
        """For example ``hpsv2.1@1a2b3c4d5e6f``, with ``-aliased`` and the precision where they are not the usual."""
        return f"{self.name}@{self.trunk.revision}" + ("" if self.antialias else "-aliased") + self.trunk.suffix

    @cached_property
    def trunk(self) -> ClipTrunk:
        """open_clip's text cleaning, images padded to a square."""
        weights = OpenClipFile(self.name, self.checkpoint, self.file, self.config)
        text = ClipText(self.name, self.tokenizer)
        return ClipTrunk(self.name, weights, text, PadToSquare(weights.side, self.antialias), self.dtype, self.device)

    def head(self, images: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
        """The cosine itself, float32 [n], of embeddings [n, D]."""
        return cosine(images, prompts).astype("float32")


@dataclass(frozen=True)
class HPSv21(HPSv2):
    """The same trained on more data; about 0.14–0.34, not to be compared with HPSv2's."""

    name: ClassVar[str] = "hpsv2.1"
    file: ClassVar[str] = "HPS_v2.1_compressed.pt"
