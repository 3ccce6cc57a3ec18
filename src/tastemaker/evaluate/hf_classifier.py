"""Any image classifier that transformers can load, with its own processor. No code of a checkpoint is ever run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json
from tastemaker.score.checkpoint import revision
from tastemaker.score.device import Dtype, exactly, precise, suffix, torch_device, torch_dtype
from tastemaker.score.models.weights import one_line, quiet, weight_files

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import device as Device

NAME = "hf-classifier"
CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"


@dataclass(frozen=True)
class HfClassifier:
    """``checkpoint`` is a folder or a hub id in the layout of transformers, with its image processor."""

    checkpoint: str = ""
    dtype: Dtype = "float32"
    device: str = "auto"

    def __post_init__(self) -> None:
        precise(NAME, self.dtype)
        if not self.checkpoint:
            raise UserError(f"{NAME}: which model? say {NAME}:checkpoint=FOLDER or checkpoint=owner/name")

    @property
    def id(self) -> str:
        """For example ``hf-classifier@1a2b3c4d5e6f``: hashed over configuration, processor and weights."""
        return f"{NAME}@{revision(*_files(self.checkpoint))}{suffix(self.dtype)}"

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """As the configuration names them; ``LABEL_0`` and so on where it does not."""
        from transformers import AutoConfig

        path = _files(self.checkpoint)[0]
        config = _loaded(path.parent, lambda: AutoConfig.from_pretrained(path.parent, trust_remote_code=False))
        return tuple(str(config.id2label[number]) for number in sorted(config.id2label))

    def logits(self, images: Sequence[Image]) -> np.ndarray:
        """Scores before the softmax, float32 [n, C], of n RGB images."""
        folder = _files(self.checkpoint)[0].parent
        model, processor = _model(folder, torch_device(NAME, self.device), self.dtype)
        pixels = processor(images=list(images), return_tensors="pt")["pixel_values"]
        with exactly():
            found: np.ndarray = model(pixel_values=pixels.to(model.device, model.dtype)).logits.float().cpu().numpy()
        return found


@cache
def _files(checkpoint: str) -> tuple[Path, ...]:
    """The configuration first, the processor's, and the weights."""
    weights = weight_files(NAME, checkpoint, CONFIG, PROCESSOR)
    folder = weights[0].parent
    for name in (CONFIG, PROCESSOR):
        if not (folder / name).is_file():
            raise UserError(f"{NAME}: {folder} has no {name}; give a folder in the layout of transformers")
        read_json(folder / name)
    return folder / CONFIG, folder / PROCESSOR, *weights


@cache
def _model(folder: Path, device: Device, dtype: Dtype) -> tuple[Any, Any]:
    """Model and processor; the latter with Pillow even where there is torchvision."""
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    def load() -> tuple[Any, dict[str, Any], Any]:
        model, found = AutoModelForImageClassification.from_pretrained(
            folder, dtype=torch_dtype(dtype), trust_remote_code=False, output_loading_info=True
        )
        return model, found, AutoImageProcessor.from_pretrained(folder, trust_remote_code=False, backend="pil")

    model, found, processor = _loaded(folder, load)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(map(str, found.get(what, ()))):
            raise UserError(f"{NAME}: {folder}: {what.partition('_')[0]} {keys[0]} ({len(keys)} such) in its weights")
    return model.to(device).eval(), processor


def _loaded(folder: Path, load: Any) -> Any:
    try:
        with quiet():
            return load()
    except Exception as error:  # the library's loaders raise whatever their parts do
        said = one_line(error)
        raise UserError(f"{NAME}: {folder}: transformers loads no image classifier there ({said})") from None
