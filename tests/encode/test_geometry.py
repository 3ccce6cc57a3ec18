"""Sizes and crops: by hand, against diffusers' script, and against what `to_pixels` really kept."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from support import pictures
from tastemaker.data.images import decode, to_pixels
from tastemaker.encode.geometry import time_ids


@pytest.mark.parametrize(
    ("original", "target", "crop"),
    [
        ((1024, 1024), (1024, 1024), (0, 0)),
        ((512, 512), (1024, 1024), (0, 0)),  # resizing alone crops nothing
        ((1536, 1024), (1024, 1024), (256, 0)),  # (1536 − 1024) / 2
        ((1024, 1536), (1024, 1024), (0, 256)),
        ((3072, 2048), (1024, 1024), (256, 0)),  # counted after resizing, not before
        ((600, 800), (512, 512), (0, 85)),  # 800 · 512/600 = 682.67 wide; 170.67 / 2
        ((100, 100), (24, 40), (8, 0)),  # covers 40 × 40; (40 − 24) / 2
        ((200, 100), (24, 40), (28, 0)),  # 80 × 40
        ((100, 200), (24, 40), (0, 4)),  # 24 × 48
    ],
)
def test_by_hand(original, target, crop):
    assert time_ids(original, target) == (*original, *crop, *target)


def test_centre_crops_of_the_script_of_diffusers():
    """`train_text_to_image_lora_sdxl.py --center_crop`: torchvision's Resize cuts the long side to whole pixels."""
    for h0, w0 in np.random.default_rng(0).integers(200, 3000, (200, 2)).tolist():
        short, side = min(h0, w0), 512
        height, width = (int(side * length / short) for length in (h0, w0))
        expected = [max(0, round((length - side) / 2.0)) for length in (height, width)]
        assert np.abs(np.subtract(time_ids((h0, w0), (side, side))[2:4], expected)).max() <= 1


@pytest.mark.parametrize("original", [(40, 50), (60, 36), (200, 90), (31, 250), (64, 64)])
@pytest.mark.parametrize("target", [(32, 32), (24, 40), (40, 24)])
def test_the_crop_is_the_one_that_is_made(original, target):
    """Pixels that hold their own place say after cutting where they were; the first one's centre is at crop + 1/2."""
    (h0, w0), (height, width) = original, target
    y, x = np.mgrid[:h0, :w0].astype(np.uint8)
    kept = (to_pixels(Image.fromarray(np.stack([y, x, x], -1)), height, width) + 1) * 127.5
    scale = max(height / h0, width / w0)
    rows, columns = (kept[0].mean(1) + 0.5) * scale, (kept[1].mean(0) + 0.5) * scale
    top, left = ((places - np.arange(len(places)) - 0.5)[4:-4].mean() for places in (rows, columns))
    assert time_ids(original, target)[2:4] == pytest.approx((top, left), abs=0.5 + 0.2 * scale)


def test_the_size_is_of_the_upright_image():
    image = decode(pictures.rotated("JPEG"))  # lies as 12 wide, 8 high
    assert time_ids((image.height, image.width), (8, 8)) == (12, 8, 2, 0, 8, 8)
