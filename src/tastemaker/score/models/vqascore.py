"""VQAScore (Lin et al. 2024, arXiv 2404.01291): how sure a model is that the image shows what the prompt says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from tastemaker.base.errors import UserError
from tastemaker.score.checkpoint import find_folder, revision
from tastemaker.score.device import exactly, suffix, torch_device, torch_dtype
from tastemaker.score.models.weights import distinct, one_line, quiet, weight_files
from tastemaker.score.scorer import ThroughPixels
from tastemaker.score.transform import MEAN, CentreCrop

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import device as Device

    from tastemaker.score.models.clip_t5 import ClipT5

NAME = "vqascore"
SIDE = 336
LENGTH = 2048
"""Tokens that are read, the image as one of them: the original cuts there."""
BEFORE = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. USER: "
)
AFTER = '\nDoes this figure show "{}"? Please answer yes or no. ASSISTANT: '
ANSWER = "Yes"
Dtype = Literal["float32", "bfloat16"]
"""T5 overflows in float16."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "spiece.model")


@dataclass(frozen=True)
class OnSquare:
    """The image in the middle of a square of CLIP's mean colour, scaled to ``side`` pixels (Pillow, bicubic)."""

    side: int = SIDE

    def __call__(self, image: Image) -> np.ndarray:
        """Normalised pixels, float32 [3, side, side]."""
        import PIL.Image

        rgb, longest = image.convert("RGB"), max(image.size)
        square = PIL.Image.new("RGB", (longest, longest), tuple(int(255 * mean) for mean in MEAN))
        square.paste(rgb, ((longest - rgb.width) // 2, (longest - rgb.height) // 2))
        return CentreCrop(self.side, "hf")(square)


@dataclass(frozen=True)
class VqaScore(ThroughPixels):
    """exp(mean log p("Yes</s>")) of CLIP-FlanT5 asked whether the figure shows the prompt: in [0, 1].

    ``checkpoint`` is a hub id or a folder in the authors' layout, ``tokenizer`` one with Flan-T5's. In bfloat16, as
    published, many scores tie; float32 needs 13 GB for the XL model.
    """

    checkpoint: str = "zhiqiulin/clip-flant5-xl"
    tokenizer: str = "google/flan-t5-xl"
    dtype: Dtype = "bfloat16"
    device: str = "auto"

    calibration: ClassVar[str] = "identity"
    uses_prompt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Dtype):
            raise UserError(f"{NAME}: dtype={self.dtype}: say {' or '.join(get_args(Dtype))}")

    @property
    def id(self) -> str:
        """``vqascore@`` and 12 digits of a SHA-256 over configuration, weights and vocabulary, then the precision."""
        config, weights = _files(self.checkpoint)
        return f"{NAME}@{revision(config, *weights, *_tables(self.tokenizer))}{suffix(self.dtype)}"

    @property
    def transform(self) -> OnSquare:
        """Nothing is cut off."""
        return OnSquare()

    def score_pixels(self, prompts: Sequence[str], pixels: np.ndarray) -> np.ndarray:
        """Probabilities, float32 [n]; an image that stands there several times is looked at once."""
        import torch

        device = torch_device(NAME, self.device)
        model = _load(*_files(self.checkpoint), device, self.dtype)
        first, place = distinct(pixels)
        with exactly():
            looked = model.look(torch.from_numpy(pixels[first]).to(device, torch_dtype(self.dtype)))
            return model.likelihood(looked[place], *self._asked(prompts)).cpu().numpy()

    def truncated(self, prompts: Sequence[str]) -> int:
        """How many of the prompts make a question of more than 2048 tokens, whose end is cut off."""
        tokens = _tokenizer(_tables(self.tokenizer)[0].parent)
        room = LENGTH - 1 - len(tokens(BEFORE).input_ids)
        return sum(len(tokens(AFTER.format(prompt), verbose=False).input_ids) > room for prompt in prompts)

    def _asked(self, prompts: Sequence[str]) -> tuple[list[int], list[list[int]], list[int], int]:
        """Tokens before the image, after it, and of the answer, and how many tokens there are.

        Each of the three ends with </s>, as in training.
        """
        tokens = _tokenizer(_tables(self.tokenizer)[0].parent)
        before: list[int] = tokens(BEFORE).input_ids
        room = LENGTH - 1 - len(before)
        after = [tokens(AFTER.format(prompt), verbose=False).input_ids[:room] for prompt in prompts]
        return before, after, tokens(ANSWER).input_ids, len(tokens)


@cache
def _files(checkpoint: str) -> tuple[Path, tuple[Path, ...]]:
    """The configuration and the weights."""
    weights = weight_files(NAME, checkpoint, "config.json")
    config = weights[0].with_name("config.json")
    if not config.is_file():
        raise UserError(f"{NAME}: {config.parent} has no config.json; give a folder in the layout of CLIP-FlanT5")
    return config, weights


@cache
def _tables(tokenizer: str) -> tuple[Path, ...]:
    """The tokenizer's files that there are."""
    folder = find_folder(NAME, tokenizer, *TOKENIZER)
    if found := tuple(folder / name for name in TOKENIZER if (folder / name).is_file()):
        return found
    raise UserError(f"{NAME}: {folder} has no tokenizer.json; give tokenizer= the folder of Flan-T5's")


@cache
def _load(config: Path, weights: tuple[Path, ...], device: Device, dtype: Dtype) -> ClipT5:
    from tastemaker.score.models.clip_t5 import load

    model = load(config, weights, dtype)
    side = model.tower.config.image_size
    if side != SIDE:
        raise UserError(f"{NAME}: {weights[0]}: reads images of {side} × {side} pixels; CLIP-FlanT5's have {SIDE}")
    return model.to(device)


@cache
def _tokenizer(folder: Path) -> Any:
    from transformers import T5Tokenizer

    try:
        with quiet():
            return T5Tokenizer.from_pretrained(folder)
    except Exception as error:  # readers of JSON and of the tokenizers library, each with its own
        raise UserError(f"{NAME}: {folder}: not readable as T5's tokenizer ({one_line(error)})") from None
