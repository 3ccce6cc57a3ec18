"""LAION aesthetics V2: how much people liked an image, whatever its prompt (LAION-5B, arXiv 2210.08402).

A stack of five linear maps on the embedding of OpenAI's CLIP ViT-L/14. There is no activation between them, so the
stack is one linear map w·x + b: b = 5.2366 is what an image without any features would get, |w| = 17.9956.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file
from tastemaker.score.checkpoint import find_file, read_tensors, revision
from tastemaker.score.clip.text import OPENAI, ClipText
from tastemaker.score.clip.trunk import ClipTrunk, ThroughClip
from tastemaker.score.clip.weights import TransformersFolder
from tastemaker.score.device import Dtype
from tastemaker.score.transform import CentreCrop

if TYPE_CHECKING:
    import numpy as np

PUBLISHED = "trl-lib/ddpo-aesthetic-predictor"
"""Hub id of a copy of the authors' `sac+logos+ava1-l14-linearMSE.pth`."""
FILE = "aesthetic-model.pth"
SHA256 = "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0"
"""Of the authors' file: what the hub gives must be it."""
LAYERS = (0, 2, 4, 6, 7)
"""The linear maps in the authors' numbering; between them lies dropout, which does nothing here."""


@dataclass(frozen=True)
class Aesthetic(ThroughClip):
    """w·(image embedding) + b, about 3.5–7.5 for real images; ψ = a / 10, and what lies outside 0–10 is clipped.

    ``checkpoint`` is the CLIP it reads (hub id or folder of transformers), ``predictor`` the linear stack (hub id,
    folder with `aesthetic-model.pth`, or the file). No prompt is read; ``tokenizer`` only makes the trunk that of
    ``clip``, so that the two look at each image once.
    """

    checkpoint: str = OPENAI
    predictor: str = PUBLISHED
    tokenizer: str = ""
    dtype: Dtype = "float32"
    device: str = "auto"

    name: ClassVar[str] = "aesthetic"
    calibration: ClassVar[str] = "range:0,10"
    uses_prompt: ClassVar[bool] = False

    @property
    def id(self) -> str:
        """For example ``aesthetic@1a2b3c4d5e6f``, with the precision where it is not float32."""
        files = (*self.trunk.weights.files, self._file)
        return f"{self.name}@{revision(*files)}{self.trunk.suffix}"

    @cached_property
    def trunk(self) -> ClipTrunk:
        """The same as that of ``clip`` with this checkpoint."""
        weights = TransformersFolder(self.name, self.checkpoint)
        text = ClipText(self.name, self.tokenizer or self.checkpoint)
        transform = CentreCrop(weights.side, "torchvision")
        return ClipTrunk(self.name, weights, text, transform, self.dtype, self.device)

    def head(self, images: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
        """w·x + b, float32 [n], of embeddings [n, D]; computed in float64."""
        del prompts
        weight, bias = linear(self._file)
        if images.shape[1] != len(weight):
            said = f"reads {len(weight)} numbers an image, the CLIP gives {images.shape[1]}"
            raise UserError(f"{self.name}: {self._file}: {said}; it belongs to another checkpoint")
        return (images.astype("float64") @ weight + bias).astype("float32")

    @cached_property
    def _file(self) -> Path:
        file = find_file(self.name, self.predictor, FILE)
        if self.predictor == PUBLISHED and sha256_file(file) != SHA256:
            raise UserError(f"{self.name}: {file}: not the authors' weights; give their .pth with predictor=FILE")
        return file


@cache
def linear(file: Path) -> tuple[np.ndarray, float]:
    """w, float64 [D], and b of the whole stack; raises `UserError` for a file that holds another one."""
    state = read_tensors(Aesthetic.name, file)
    names = [f"layers.{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")]
    odd = [*(name for name in names if name not in state), *(name for name in state if name not in names)]
    if odd:
        raise UserError(f"{Aesthetic.name}: {file}: {odd[0]} is missing or unexpected; give LAION's linear stack")
    values = [state[name].double().numpy() for name in names]
    weight, bias = values[0], values[1]
    try:
        for outer, shift in zip(values[2::2], values[3::2], strict=True):
            weight, bias = outer @ weight, outer @ bias + shift
        return weight.squeeze(0), bias.item()
    except ValueError:
        raise UserError(f"{Aesthetic.name}: {file}: its shapes do not follow one another; give LAION's file") from None
