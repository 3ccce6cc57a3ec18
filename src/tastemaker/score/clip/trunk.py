"""CLIP as the trunk of several scorers: images and prompts into one space (Radford et al. 2021, arXiv 2103.00020).

Nothing heavy is imported, found or read before the first question, and a trunk can be pickled before and after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from tastemaker.base.errors import UserError
from tastemaker.score.checkpoint import revision
from tastemaker.score.clip.text import ClipText
from tastemaker.score.clip.weights import ClipWeights
from tastemaker.score.device import Dtype, exactly, precise, suffix, torch_device, torch_dtype
from tastemaker.score.scorer import ThroughTrunk, Transform

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from transformers import CLIPModel

_in_use: WeakValueDictionary[tuple[str, str], CLIPModel] = WeakValueDictionary()
"""(trunk id, device) → its model, as long as a trunk holds it: two scorers of one trunk read the weights once."""


@dataclass(frozen=True)
class ClipTrunk:
    """A CLIP, how it wants its pixels and its text, and in what precision it computes."""

    scorer: str
    """For whom: errors begin with this name, embeddings do not depend on it."""
    weights: ClipWeights
    text: ClipText
    transform: Transform
    dtype: Dtype = "float32"
    device: str = "auto"

    def __post_init__(self) -> None:
        precise(self.scorer, self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def revision(self) -> str:
        """12 hex digits of a SHA-256 over weights, configuration and tokenizer."""
        return revision(*self.weights.files, *self.text.files)

    @property
    def id(self) -> str:
        """For example ``clip-1a2b3c4d5e6f-crop224-hf-raw-float32``; equal ids give equal embeddings."""
        return f"clip-{self.revision}-{self.transform}-{self.text}-{self.dtype}"

    @property
    def suffix(self) -> str:
        """What its precision adds to a scorer's id: nothing for float32."""
        return suffix(self.dtype)

    @property
    def scale(self) -> float:
        """exp(logit scale) of the checkpoint, what it multiplies cosines with; 100 in trained ones."""
        return float(self._model.logit_scale.double().exp())

    def images(self, pixels: np.ndarray) -> np.ndarray:
        """Embeddings, float32 [n, D] of length 1, of transformed pixels [n, 3, side, side]."""
        import torch

        model = self._model
        with exactly():
            inputs = torch.from_numpy(pixels).to(model.device, model.dtype)
            return _of_length_1(model.get_image_features(pixel_values=inputs).pooler_output)

    def prompts(self, prompts: Sequence[str]) -> np.ndarray:
        """Embeddings, float32 [n, D] of length 1; equal prompts are computed once.

        Prompts are padded to the full length, so that none depends on the longest of its batch.
        """
        import torch

        model, distinct = self._model, list(dict.fromkeys(prompts))
        tokens = torch.from_numpy(self.text.tokens(distinct, self.weights.length)).to(model.device)
        with exactly():
            found = _of_length_1(model.get_text_features(input_ids=tokens).pooler_output)
        place = {prompt: row for row, prompt in enumerate(distinct)}
        return found[[place[prompt] for prompt in prompts]]

    def truncated(self, prompts: Sequence[str]) -> int:
        """How many of the prompts are longer than the model can read and lose their end."""
        return self.text.truncated(prompts, self.weights.length)

    @cached_property
    def _model(self) -> CLIPModel:
        device = torch_device(self.scorer, self.device)
        key = (self.id, str(device))
        model = _in_use.get(key)
        if model is None:
            model = _in_use[key] = self._loaded().to(device, torch_dtype(self.dtype))
        return model

    def _loaded(self) -> CLIPModel:
        model = self.weights.load()
        vocabulary = model.config.text_config.vocab_size
        if self.text.size > vocabulary:
            said = f"{self.text.size} tokens for a model of {vocabulary}"
            raise UserError(f"{self.scorer}: tokenizer {self.text.checkpoint}: {said}; give the model's own")
        return model


class ThroughClip(ThroughTrunk, ABC):
    """Gives a scorer on a `ClipTrunk` what all of them say alike."""

    uses_prompt: ClassVar[bool] = True

    @property
    @abstractmethod
    def trunk(self) -> ClipTrunk:
        """In whose space it compares."""

    def truncated(self, prompts: Sequence[str]) -> int:
        """How many of the prompts the scorer reads without their end."""
        return self.trunk.truncated(prompts) if self.uses_prompt else 0


def cosine(images: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
    """cos(image, prompt), float64 [n], of embeddings [n, D] of length 1."""
    import numpy as np

    assert prompts is not None
    return np.einsum("nd,nd->n", images, prompts, dtype=np.float64)


def _of_length_1(found: Tensor) -> np.ndarray:
    from torch.nn.functional import normalize

    return normalize(found.float(), dim=-1).cpu().numpy()
