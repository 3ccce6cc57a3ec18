"""Any reward model that transformers can load: two towers that are compared, or a network with one number at its end.

Which of the two it is stands in the checkpoint's configuration. No code of a checkpoint is ever run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from tastemaker.base.errors import UserError
from tastemaker.score.checkpoint import find_folder, revision
from tastemaker.score.device import Dtype, exactly, precise, suffix, torch_device, torch_dtype
from tastemaker.score.models.weights import one_line, quiet

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor
    from torch import device as Device

NAME = "hf-reward"
TABLES = (".json", ".txt", ".model", ".jinja")
"""Endings of configurations, vocabularies and chat templates."""
CLASSIFIER = "ForSequenceClassification"
Raw = Literal["scaled", "cosine"]


@dataclass(frozen=True)
class HfReward:
    """A dual encoder's exp(logit scale) · cos(image, prompt) + logit bias, or one logit of a classifier.

    ``checkpoint`` is a folder or a hub id in the layout of transformers, with its processor. ``raw`` is for dual
    encoders (``cosine`` leaves scale and bias away), ``output`` for classifiers of several logits.
    """

    checkpoint: str = ""
    raw: Raw = "scaled"
    output: int = 0
    dtype: Dtype = "float32"
    device: str = "auto"

    calibration: ClassVar[str] = "standardise:3"
    uses_prompt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        precise(NAME, self.dtype)
        if not self.checkpoint:
            raise UserError(f"{NAME}: which model? say {NAME}:checkpoint=FOLDER or checkpoint=owner/name")
        if self.raw not in get_args(Raw):
            raise UserError(f"{NAME}: raw={self.raw}: say {' or '.join(get_args(Raw))}")
        if self.output < 0:
            raise UserError(f"{NAME}: output={self.output}: logits are counted from 0")

    @property
    def id(self) -> str:
        """For example ``hf-reward@1a2b3c4d5e6f`` or ``hf-reward@1a2b3c4d5e6f-cosine``: hashed over all its files."""
        changed = ("-cosine" if self.raw == "cosine" else "") + (f"-output{self.output}" if self.output else "")
        return f"{NAME}@{revision(*_files(self.checkpoint))}{changed}{suffix(self.dtype)}"

    def score(self, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Raw scores, float32 [n], of n RGB images for their n prompts."""
        judge = self._judge()
        with exactly():
            if isinstance(judge, DualEncoder):
                return judge.compare(list(prompts), images, self.raw).float().cpu().numpy()
            return judge.logits(list(prompts), images, self.output).float().cpu().numpy()

    def truncated(self, prompts: Sequence[str]) -> int:
        """How many of the prompts a dual encoder reads without their end; a classifier reads all of a prompt."""
        judge = self._judge()
        return judge.truncated(list(prompts)) if isinstance(judge, DualEncoder) and prompts else 0

    def _judge(self) -> DualEncoder | Classifier:
        folder = _files(self.checkpoint)[0].parent
        return _load(folder, torch_device(NAME, self.device), self.dtype)


@dataclass(frozen=True)
class DualEncoder:
    """CLIP, SigLIP and their like."""

    folder: Path
    model: Any
    processor: Any

    def compare(self, prompts: list[str], images: Sequence[Image], raw: Raw) -> Tensor:
        """Cosines [n], scaled unless ``raw`` is "cosine"; an object that stands there several times is seen once."""
        distinct = list({id(image): image for image in images}.values())
        place = {id(image): row for row, image in enumerate(distinct)}
        cosine = (self._images(distinct)[[place[id(image)] for image in images]] * self._prompts(prompts)).sum(-1)
        if raw == "cosine":
            return cosine
        if not hasattr(self.model, "logit_scale"):
            raise UserError(f"{NAME}: {self.folder}: the model has no logit_scale; say raw=cosine")
        scaled: Tensor = self.model.logit_scale.exp() * cosine + getattr(self.model, "logit_bias", 0)
        return scaled

    def truncated(self, prompts: list[str]) -> int:
        """How many of the prompts are longer than it reads."""
        ids = self.processor.tokenizer(prompts, truncation=False, verbose=False)["input_ids"]
        read = self._tokens(prompts)["input_ids"].shape[1]
        return sum(len(row) > read for row in ids)

    def _images(self, images: Sequence[Image]) -> Tensor:
        inputs = self.processor.image_processor(images=list(images), return_tensors="pt")
        wanted = {name: inputs[name] for name in self.processor.image_processor.model_input_names if name in inputs}
        return _of_length_1(self.model.get_image_features(**_moved(wanted, self.model)))

    def _prompts(self, prompts: list[str]) -> Tensor:
        return _of_length_1(self.model.get_text_features(**_moved(self._tokens(prompts), self.model)))

    def _tokens(self, prompts: list[str]) -> dict[str, Tensor]:
        """Padded to the full length, so that no prompt depends on the longest of its batch."""
        tokenizer = self.processor.tokenizer
        positions = getattr(self.model.config.get_text_config(), "max_position_embeddings", tokenizer.model_max_length)
        limit = {"max_length": positions} if tokenizer.model_max_length > positions else {}  # else the processor's own
        made = self.processor(text=prompts, padding="max_length", truncation=True, return_tensors="pt", **limit)
        return {name: made[name] for name in tokenizer.model_input_names if name in made}


@dataclass(frozen=True)
class Classifier:
    """A vision-language model with a linear head on its last token."""

    folder: Path
    model: Any
    processor: Any

    def logits(self, prompts: list[str], images: Sequence[Image], output: int) -> Tensor:
        """The logit ``output`` [n] of a conversation whose one turn is image and prompt."""
        texts = [self.processor.apply_chat_template(_turn(prompt), tokenize=False) for prompt in prompts]
        shown = [[image] for image in images]
        inputs = self.processor(text=texts, images=shown, padding=True, return_tensors="pt", add_special_tokens=False)
        found: Tensor = self.model(**_moved(inputs, self.model)).logits
        if output >= found.shape[-1]:
            raise UserError(f"{NAME}: output={output}: {self.folder} has {found.shape[-1]} logits, counted from 0")
        return found[:, output]


def _turn(prompt: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]


def _of_length_1(found: Any) -> Tensor:
    from torch.nn.functional import normalize

    return normalize(getattr(found, "pooler_output", found).float(), dim=-1)


def _moved(inputs: Any, model: Any) -> dict[str, Tensor]:
    """On the model's device, and whatever is a fraction in its precision."""
    return {
        name: value.to(model.device, model.dtype) if value.is_floating_point() else value.to(model.device)
        for name, value in inputs.items()
    }


@cache
def _files(checkpoint: str) -> tuple[Path, ...]:
    """The configuration first, the other tables, and the weights, of which safetensors are preferred."""
    for ending in (".safetensors", ".bin"):
        folder = find_folder(NAME, checkpoint, *(f"*{table}" for table in TABLES), f"*{ending}")
        if not (folder / "config.json").is_file():
            raise UserError(f"{NAME}: {folder} has no config.json; give a folder in the layout of transformers")
        if weights := sorted(folder.glob(f"*{ending}")):
            tables = sorted(file for file in folder.iterdir() if file.suffix in TABLES and file.name != "config.json")
            return folder / "config.json", *tables, *weights
    raise UserError(f"{NAME}: {checkpoint}: no weights there (.safetensors or .bin)")


@cache
def _load(folder: Path, device: Device, dtype: Dtype) -> DualEncoder | Classifier:
    """Raises `UserError` for what transformers cannot load without running other people's code."""
    try:
        with quiet():
            model, found, processor = _loaded(folder, dtype)
    except UserError:
        raise
    except Exception as error:  # the library's loaders raise whatever their parts do
        raise UserError(f"{NAME}: {folder}: transformers does not load it ({one_line(error)})") from None
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(map(str, found.get(what, ()))):
            raise UserError(f"{NAME}: {folder}: {what.partition('_')[0]} {keys[0]} ({len(keys)} such) in its weights")
    model = model.to(device).eval()
    return _classifier(folder, model, processor) if _classifies(model.config) else DualEncoder(folder, model, processor)


def _loaded(folder: Path, dtype: Dtype) -> tuple[Any, dict[str, Any], Any]:
    """Model, what its weights lacked, and processor; the latter with Pillow even where there is torchvision."""
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    kind = AutoModelForSequenceClassification if _classifies(config) else AutoModel
    model, found = kind.from_pretrained(
        folder, config=config, dtype=torch_dtype(dtype), trust_remote_code=False, output_loading_info=True
    )
    if not (_classifies(config) or (hasattr(model, "get_image_features") and hasattr(model, "get_text_features"))):
        known = f"no …{CLASSIFIER}, and has not both get_image_features and get_text_features"
        raise UserError(f"{NAME}: {folder}: {type(model).__name__} is no reward model: it is {known}")
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, backend="pil")
    if not (hasattr(processor, "image_processor") and hasattr(processor, "tokenizer")):
        raise UserError(f"{NAME}: {folder}: no processor of images and text there; save the model's own beside it")
    return model, found, processor


def _classifies(config: Any) -> bool:
    return any(name.endswith(CLASSIFIER) for name in config.architectures or ())


def _classifier(folder: Path, model: Any, processor: Any) -> Classifier:
    """Padded on the right with a token that the model knows as padding: it judges at the last other token."""
    if not getattr(processor, "chat_template", None):
        raise UserError(f"{NAME}: {folder}: no chat template, so how it wants image and prompt is unknown; save one")
    processor.tokenizer.padding_side = "right"
    model.config.get_text_config().pad_token_id = processor.tokenizer.pad_token_id
    return Classifier(folder, model, processor)
