"""File size as a reward: the compressibility tasks of DDPO (Black et al. 2023, arXiv 2305.13301, section 5.1).

It judges nothing that people care about. It needs no weights, so it is the scorer of tests, of dry runs and of
checks that a training loop follows its reward at all.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


@dataclass(frozen=True)
class JpegSize:
    """Size in kB (1000 bytes) of the image written as JPEG; the published quality is 95.

    ``prefer="large"`` is DDPO's incompressibility (raw = +kB), ``"small"`` its compressibility (raw = −kB).
    Sizes grow with the number of pixels: compare images of one resolution. Another libjpeg may differ by some bytes.
    """

    quality: int = 95
    prefer: Literal["large", "small"] = "large"

    calibration: ClassVar[str] = "standardise"
    uses_prompt: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise UserError(f"jpeg-size: quality={self.quality}: JPEG quality goes from 1 to 100")
        if self.prefer not in ("large", "small"):
            raise UserError(f"jpeg-size: prefer={self.prefer}: say large or small")

    @property
    def id(self) -> str:
        """For example ``jpeg-size@q95`` or ``jpeg-size@q95-small``."""
        return f"jpeg-size@q{self.quality}" + ("-small" if self.prefer == "small" else "")

    def score(self, prompts: Sequence[str], images: Sequence[Image]) -> np.ndarray:
        """Kilobytes, float32 [n]; the prompts are not read."""
        import numpy as np

        del prompts
        sign = 1 if self.prefer == "large" else -1
        return np.array([sign * self._bytes(image) / 1000 for image in images], dtype=np.float32)

    def _bytes(self, image: Image) -> int:
        file = io.BytesIO()
        image.convert("RGB").save(file, format="JPEG", quality=self.quality)
        return file.tell()
