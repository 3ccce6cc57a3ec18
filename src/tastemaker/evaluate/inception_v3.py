"""The Inception that published Inception Scores use: TensorFlow's of 2015, as torch-fidelity computes it.

Weights of torchvision or timm, and another way of resizing, give other numbers. Salimans et al. 2016 (arXiv
1606.03498) leave the biases of the last layer out; so does this.
"""

from __future__ import annotations

import importlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.score.checkpoint import read_tensors, revision
from tastemaker.score.device import exactly, torch_device
from tastemaker.score.models.weights import one_line

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import device as Device

NAME = "inception"
WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS}"
MODULE = "torch_fidelity.feature_extractor_inceptionv3"
CLASSES = 1008
FEATURE = "logits_unbiased"


@dataclass(frozen=True)
class InceptionV3:
    """``checkpoint`` is torch-fidelity's file of weights; without it the file is downloaded and its hash compared."""

    checkpoint: str = ""
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.checkpoint and not Path(self.checkpoint).is_file():
            raise UserError(f"{NAME}: checkpoint={self.checkpoint}: no such file; give torch-fidelity's {WEIGHTS}")

    @property
    def id(self) -> str:
        """For example ``inception@6726825d0af5``: the hash of its weights."""
        return f"{NAME}@{revision(self._weights)}"

    @property
    def classes(self) -> tuple[str, ...]:
        """Numbers: the 1008 outputs of 2015 come without names."""
        return tuple(map(str, range(CLASSES)))

    def logits(self, images: Sequence[Image]) -> np.ndarray:
        """Scores without bias before the softmax, float32 [n, 1008]; images are resized one size at a time."""
        import numpy as np

        model, rows = _model(self._weights, torch_device(NAME, self.device)), defaultdict(list)
        for row, image in enumerate(images):
            rows[image.size].append(row)
        found = np.empty((len(images), CLASSES), np.float32)
        for places in rows.values():
            found[places] = _logits(model, [images[place] for place in places])
        return found

    @cached_property
    def _weights(self) -> Path:
        return Path(self.checkpoint) if self.checkpoint else _downloaded()


def _logits(model: Any, images: Sequence[Image]) -> np.ndarray:
    """Of images of one size."""
    import numpy as np
    import torch

    pixels = np.stack([np.asarray(image.convert("RGB")) for image in images]).transpose(0, 3, 1, 2)
    inputs = torch.from_numpy(np.ascontiguousarray(pixels)).to(model.fc.weight.device)
    with exactly():
        found: np.ndarray = model(inputs)[0].cpu().numpy()
    return found


@cache
def _model(weights: Path, device: Device) -> Any:
    """torch-fidelity's network around ``weights``."""
    try:
        network: Any = importlib.import_module(MODULE).FeatureExtractorInceptionV3
    except ImportError as error:
        raise UserError(f"{NAME}: {one_line(error)}; install torch-fidelity, or use hf-classifier") from None
    try:
        return network(NAME, [FEATURE], feature_extractor_weights_path=_harmless(weights)).to(device).eval()
    except RuntimeError as error:
        raise UserError(f"{NAME}: {weights}: no weights of torch-fidelity's Inception ({one_line(error)})") from None


def _harmless(weights: Path) -> io.BytesIO:
    """The same tensors as bytes of our own: torch-fidelity unpickles whatever it is given."""
    import torch

    buffer = io.BytesIO()
    torch.save(read_tensors(NAME, weights), buffer)
    buffer.seek(0)
    return buffer


def _downloaded() -> Path:
    """The published file in torch's own folder."""
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL, str(path), hash_prefix=path.stem.rpartition("-")[2], progress=False)
        except (OSError, RuntimeError) as error:  # no network; another hash
            raise UserError(
                f"{NAME}: {URL} cannot be had ({one_line(error)}); download it and say {NAME}:checkpoint=FILE"
            ) from None
    return path
