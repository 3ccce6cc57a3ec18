"""IMAGES folders of plain colour, and judges that measure the colour."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tastemaker.base.errors import UserError

PROMPTS = ("a <b>cat</b>", "two | dogs", "🦊 fox", "שלום")
BASE = (100, 100, 100, 100, 100, 100, 100, 100)
TUNED = (151, 151, 151, 49, 100, 100, 49, 100)


def painted(folder: Path, reds: Sequence[int], prompts: Sequence[str] = PROMPTS, seed: int = 0) -> Path:
    """An IMAGES folder: image i is plain with red ``reds[i]``, green 100; two samples a prompt."""
    folder.mkdir()
    rows = []
    for number, red in enumerate(reds):
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4), (red, 100, 0)).save(buffer, "png")
        rows.append(
            {
                "prompt_index": number // 2,
                "prompt": prompts[number // 2],
                "sample": number % 2,
                "png": buffer.getvalue(),
            }
        )
    schema = pa.schema({"prompt_index": pa.int32(), "prompt": pa.string(), "sample": pa.int32(), "png": pa.binary()})
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "images.parquet")
    (folder / "settings.json").write_text(json.dumps({"seed": seed}))
    return folder


@dataclasses.dataclass
class Channel:
    """Mean of one colour channel in [0, 1]; counts the images it has seen and may break down."""

    id: str
    channel: int = 0
    seen: int = 0
    breaks_after: int | None = None
    calibration: str = "identity"
    uses_prompt: bool = False

    def score(self, prompts: Sequence[str], images: Sequence[Image.Image]) -> np.ndarray:  # noqa: ARG002
        if self.breaks_after is not None and self.seen >= self.breaks_after:
            raise UserError("the machine went down")
        self.seen += len(images)
        return np.array([np.asarray(image)[..., self.channel].mean() / 255 for image in images], np.float32)


@dataclasses.dataclass
class Redness:
    """Two classes; the more red, the likelier the second."""

    id: str = "redness@1"
    classes: tuple[str, ...] = ("calm", "red")

    def logits(self, images: Sequence[Image.Image]) -> np.ndarray:
        return np.array([[0, image.getpixel((0, 0))[0] - 125] for image in images], np.float32)
