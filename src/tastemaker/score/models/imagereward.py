"""ImageReward (Xu et al. 2023, arXiv 2304.05977): how people rate an image for a prompt, as a standardised number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tastemaker.base.errors import UserError
from tastemaker.score.checkpoint import find_file, find_folder, revision
from tastemaker.score.device import Dtype, exactly, precise, suffix, torch_device, torch_dtype
from tastemaker.score.models.weights import distinct, one_line, quiet
from tastemaker.score.scorer import ThroughPixels
from tastemaker.score.transform import SIDE, CentreCrop

if TYPE_CHECKING:
    import numpy as np
    from torch import device as Device
    from transformers import BertTokenizer

    from tastemaker.score.models.med import Blip

NAME = "imagereward"
TOKENS = 35
"""Tokens of a prompt that the model reads, with [CLS] and [SEP]; ImageReward was trained on no more."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")


@dataclass(frozen=True)
class ImageReward(ThroughPixels):
    """(mlp(h_CLS) − 0.1672) / 1.0333 for the [CLS] state of BLIP-large: about −2.3 to 2, standardised as published.

    ``checkpoint`` is a hub id, ``ImageReward.pt`` or the folder that holds it, with ``med_config.json`` beside it;
    ``tokenizer`` a hub id or a folder with BERT's vocabulary.
    """

    checkpoint: str = "zai-org/ImageReward"
    tokenizer: str = "google-bert/bert-base-uncased"
    dtype: Dtype = "float32"
    device: str = "auto"

    calibration: ClassVar[str] = "range:-3,3"
    uses_prompt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        precise(NAME, self.dtype)

    @property
    def id(self) -> str:
        """``imagereward@`` and the first 12 digits of a SHA-256 over the weights, settings and vocabulary."""
        weights, settings, tokens = _files(self.checkpoint, self.tokenizer)
        tables = [tokens / name for name in TOKENIZER if (tokens / name).is_file()]
        return f"{NAME}@{revision(weights, *([settings] if settings else []), *tables)}{suffix(self.dtype)}"

    @property
    def transform(self) -> CentreCrop:
        """The shortest side to 224 pixels, then the square in the middle, as torchvision rounds it."""
        return CentreCrop(SIDE, "torchvision")

    def score_pixels(self, prompts: Sequence[str], pixels: np.ndarray) -> np.ndarray:
        """Standardised rewards, float32 [n]; an image that stands there several times is looked at once."""
        import torch

        model, device = self._model()
        words = self._tokens()(
            list(prompts), padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
        ).to(device)
        first, place = distinct(pixels)
        with exactly():
            looked = model.look(torch.from_numpy(pixels[first]).to(device, model.text.dtype))
            return model.reward(looked[place], words.input_ids, words.attention_mask).cpu().numpy()

    def truncated(self, prompts: Sequence[str]) -> int:
        """How many of the prompts are longer than the 35 tokens that the model reads; the rest of them is cut off."""
        ids = self._tokens()(list(prompts), truncation=False, verbose=False).input_ids if prompts else []
        return sum(len(row) > TOKENS for row in ids)

    def _model(self) -> tuple[Blip, Device]:
        device = torch_device(NAME, self.device)
        weights, settings, _ = _files(self.checkpoint, self.tokenizer)
        return _load(weights, settings, device, self.dtype), device

    def _tokens(self) -> BertTokenizer:
        return _tokenizer(_files(self.checkpoint, self.tokenizer)[2])


@cache
def _files(checkpoint: str, tokenizer: str) -> tuple[Path, Path | None, Path]:
    """The weights, their settings where there are any, and the tokenizer's folder."""
    weights = find_file(NAME, checkpoint, "ImageReward.pt")
    if not Path(checkpoint).exists():
        find_file(NAME, checkpoint, "med_config.json")  # the hub puts it beside the weights
    settings = weights.with_name("med_config.json")
    return weights, settings if settings.is_file() else None, find_folder(NAME, tokenizer, *TOKENIZER)


@cache
def _load(weights: Path, settings: Path | None, device: Device, dtype: Dtype) -> Blip:
    from tastemaker.score.models.med import load

    model = load(weights, settings)
    side = model.vision.config.image_size
    if side != SIDE:
        raise UserError(f"{NAME}: {weights}: reads images of {side} × {side} pixels; ImageReward's have {SIDE}")
    model.vision.to(torch_dtype(dtype))
    model.text.to(torch_dtype(dtype))
    return model.to(device)


@cache
def _tokenizer(folder: Path) -> BertTokenizer:
    from transformers import BertTokenizer

    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise UserError(f"{NAME}: {folder} has no vocab.txt; give tokenizer= the folder of bert-base-uncased")
    try:
        with quiet():
            return BertTokenizer.from_pretrained(folder)
    except Exception as error:  # readers of JSON and of the tokenizers library, each with its own
        raise UserError(f"{NAME}: {folder}: not readable as BERT's tokenizer ({one_line(error)})") from None
