"""From an image to the pixels that a CLIP or a BLIP reads, as the published models were trained and measured.

All end with the same normalisation, (x − mean) / std for x in [0, 1], OpenAI's constants. What differs is the way to
a square, and it matters: a crop that begins one pixel further changes a normalised pixel by up to 1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the channels R, G, B: OpenAI CLIP (arXiv 2103.00020), and everything that was made from it."""
SIDE = 224
"""Pixels a side of ViT-L/14, ViT-H/14 and BLIP-large."""
LONGEST = 1000
"""Times its width that an image may be high, or the reverse: scaled to ``side`` pixels, a longer one fills memory."""


@dataclass(frozen=True)
class CentreCrop:
    """The shortest side scaled to ``side`` pixels (Pillow, bicubic), then the square in the middle.

    An odd number of pixels too many is halved in one of two ways: ``rounding="hf"`` as Hugging Face's processors do,
    ⌊(n − side) / 2⌋ (PickScore), ``"torchvision"`` as OpenAI's and ImageReward's do, to the nearest even number.
    """

    side: int = SIDE
    rounding: Literal["hf", "torchvision"] = "hf"

    def __post_init__(self) -> None:
        _positive(self.side)
        if self.rounding not in ("hf", "torchvision"):
            raise UserError(f"centre crop: rounding={self.rounding}: say hf or torchvision")

    def __str__(self) -> str:
        return f"crop{self.side}-{self.rounding}"

    def __call__(self, image: Image) -> np.ndarray:
        """Normalised pixels, float32 [3, side, side]; raises `ValueError` for a line that is no picture."""
        from PIL.Image import Resampling

        rgb = _not_too_long(image).convert("RGB")
        width, height = (int(self.side * length / min(rgb.size)) for length in rgb.size)
        left, top = self._margin(width), self._margin(height)
        resized = rgb.resize((width, height), Resampling.BICUBIC)
        return _normalised(_in_unit_range(resized.crop((left, top, left + self.side, top + self.side))))

    def _margin(self, length: int) -> int:
        spare = length - self.side
        return spare // 2 if self.rounding == "hf" else round(spare / 2)


@dataclass(frozen=True)
class PadToSquare:
    """The longest side scaled to ``side`` pixels (torch, bicubic, not clamped), black around it: HPSv2's way.

    ``antialias=False`` is how torchvision before 0.17 shrank tensors, and so how HPSv2's first numbers were measured.
    """

    side: int = SIDE
    antialias: bool = True

    def __post_init__(self) -> None:
        _positive(self.side)

    def __str__(self) -> str:
        return f"pad{self.side}" + ("" if self.antialias else "-aliased")

    def __call__(self, image: Image) -> np.ndarray:
        """Normalised pixels, float32 [3, side, side]."""
        import numpy as np

        pixels = self._resized(_in_unit_range(image.convert("RGB")))
        spare = [self.side - length for length in pixels.shape[1:]]
        margins = [(rest // 2, rest - rest // 2) for rest in spare]
        return _normalised(np.pad(pixels, [(0, 0), *margins]))

    def _resized(self, pixels: np.ndarray) -> np.ndarray:
        import torch
        from torch.nn.functional import interpolate

        longest = max(pixels.shape[1:])
        if longest == self.side:
            return pixels
        size = [max(1, round(length * self.side / longest)) for length in pixels.shape[1:]]
        batch = torch.from_numpy(pixels)[None]
        return interpolate(batch, size, mode="bicubic", align_corners=False, antialias=self.antialias)[0].numpy()


def _positive(side: int) -> None:
    if side < 1:
        raise UserError(f"transform: side={side}: give a positive number of pixels")


def _not_too_long(image: Image) -> Image:
    if max(image.size) > LONGEST * min(image.size):
        width, height = image.size
        raise ValueError(f"{width} × {height} pixels: one side is more than {LONGEST} times the other")
    return image


def _in_unit_range(image: Image) -> np.ndarray:
    import numpy as np

    return np.ascontiguousarray(np.asarray(image, np.float32).transpose(2, 0, 1) / np.float32(255))


def _normalised(pixels: np.ndarray) -> np.ndarray:
    import numpy as np

    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    return (pixels - mean) / std
