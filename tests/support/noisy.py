"""Data folders of captioned pictures that are all different."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from support.datasets import write_data
from tastemaker.base.draw import numbers
from tastemaker.base.files import sha256_bytes
from tastemaker.data.comparison import Comparison
from tastemaker.world.captions import caption, scenes


def picture(number: int, side: int = 40) -> bytes:
    """A picture of soft noise."""
    coarse = numbers("picture", number).random((5, 5, 3)) * 255
    file = io.BytesIO()
    Image.fromarray(coarse.astype(np.uint8)).resize((side, side)).save(file, "PNG")
    return file.getvalue()


def noisy_data(data: Path, images: int, comparisons: int, prompts: int) -> Path:
    """Every image is compared, some of them with several prompts."""
    pictures = [picture(number) for number in range(images)]
    shas = [sha256_bytes(one) for one in pictures]
    texts = [caption(scene) for scene in islice(scenes(), prompts)]
    draw = numbers("noisy data")
    rows = []
    for number in range(comparisons):
        a, step = number % images, int(draw.integers(1, images))
        prompt = texts[int(draw.integers(prompts))]
        rows.append(Comparison(f"pair-{number}", prompt, shas[a], shas[(a + step) % images], "a"))
    return write_data(data, rows, pictures)
