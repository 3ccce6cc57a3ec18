"""HPSv3 (Ma et al. 2025, arXiv 2508.03789): a 7 B vision-language model that judges quality and alignment together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tastemaker.base.errors import UserError
from tastemaker.score.checkpoint import find_file, find_folder, revision
from tastemaker.score.device import Dtype, exactly, precise, suffix, torch_device, torch_dtype
from tastemaker.score.models.hpsv3_question import IMAGE, REWARD, question
from tastemaker.score.models.weights import one_line, quiet

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor
    from torch import device as Device

    from tastemaker.score.models.qwen2_vl import RewardQwen

NAME = "hpsv3"
PIXELS = 256 * 28 * 28
"""Of every image after scaling, as near as whole patches allow; small ones are scaled up."""
BASE = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")


@dataclass(frozen=True)
class Hpsv3:
    """The mean that HPSv3's head predicts: SD2 is near 0, SDXL near 8, Flux near 10 in the paper's benchmark.

    ``checkpoint`` is a hub id, ``HPSv3.safetensors`` or the folder that holds it, ``base`` Qwen2-VL-7B's configuration
    and tokenizer (its weights are not read). bfloat16, as published, needs 17 GB, float32 twice that.
    """

    checkpoint: str = "MizzenAI/HPSv3"
    base: str = "Qwen/Qwen2-VL-7B-Instruct"
    dtype: Dtype = "bfloat16"
    device: str = "auto"

    calibration: ClassVar[str] = "standardise:3"
    uses_prompt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        precise(NAME, self.dtype)

    @property
    def id(self) -> str:
        """``hpsv3@`` and 12 digits of a SHA-256 over weights, configuration and vocabulary, then the precision."""
        return f"{NAME}@{revision(_weights(self.checkpoint), *_tables(self.base))}{suffix(self.dtype)}"

    def score(self, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Raw scores, float32 [n], of n RGB images for their n prompts."""
        device = torch_device(NAME, self.device)
        model = _load(_tables(self.base)[0], _weights(self.checkpoint), device, self.dtype)
        tokens = _tokenizer(_tables(self.base)[0].parent)
        batch = {name: value.to(device) for name, value in self._batch(tokens, prompts, images).items()}
        with exactly():
            batch["pixel_values"] = batch["pixel_values"].to(torch_dtype(self.dtype))
            return model.reward(batch, tokens.convert_tokens_to_ids(REWARD))[:, 0].cpu().numpy()

    def truncated(self, prompts: Sequence[str]) -> int:
        """None: a prompt is read to its end."""
        del prompts
        return 0

    def _batch(self, tokens: Any, prompts: Sequence[str], images: Sequence[Image]) -> dict[str, Tensor]:
        """Tokens padded on the right, patches, how many of them in rows and columns, and which tokens are images."""
        from transformers import Qwen2VLImageProcessorPil

        processor = Qwen2VLImageProcessorPil(size={"shortest_edge": PIXELS, "longest_edge": PIXELS})
        shown = processor(images=[image.convert("RGB") for image in images], return_tensors="pt")
        counts = shown.image_grid_thw.prod(-1) // processor.merge_size**2
        texts = [question(_plain(prompt), int(count)) for prompt, count in zip(prompts, counts, strict=True)]
        words = tokens(texts, padding=True, padding_side="right", return_tensors="pt")
        ids = words.input_ids
        kinds = (ids == tokens.convert_tokens_to_ids(IMAGE)).long()
        return {"input_ids": ids, "attention_mask": words.attention_mask, "mm_token_type_ids": kinds, **shown}


def _plain(prompt: str) -> str:
    """Without the tokens that mean something to the model: a second reward token in a prompt would be read as well."""
    return prompt.replace("<|", "< |")


@cache
def _weights(checkpoint: str) -> Path:
    return find_file(NAME, checkpoint, "HPSv3.safetensors")


@cache
def _tables(base: str) -> tuple[Path, ...]:
    """The configuration, and the tokenizer's files that there are."""
    folder = find_folder(NAME, base, *BASE)
    if not (folder / BASE[0]).is_file():
        raise UserError(f"{NAME}: {folder} has no config.json; give base= the folder of Qwen2-VL-7B-Instruct")
    return tuple(folder / name for name in BASE if (folder / name).is_file())


@cache
def _load(config: Path, weights: Path, device: Device, dtype: Dtype) -> RewardQwen:
    from tastemaker.score.models.qwen2_vl import load

    return load(config, weights, dtype).to(device)


@cache
def _tokenizer(folder: Path) -> Any:
    """Qwen2-VL's with the reward token, which takes the next free number as in training."""
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokens = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # readers of JSON and of the tokenizers library, each with its own
        raise UserError(f"{NAME}: {folder}: not readable as Qwen2-VL's tokenizer ({one_line(error)})") from None
    tokens.add_tokens([REWARD], special_tokens=True)
    return tokens
