"""JPEG size: against the file itself, signs, options."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.score.models.jpeg_size import JpegSize


def noise(seed: int, side: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def test_is_the_size_of_the_file_in_thousand_bytes(tmp_path: Path) -> None:
    image = noise(0)
    image.save(tmp_path / "x.jpg", quality=95)
    raw = JpegSize().score([""], [image])
    assert raw.dtype == np.float32
    assert raw[0] == np.float32((tmp_path / "x.jpg").stat().st_size / 1000)


def test_noise_is_harder_to_compress_than_a_flat_colour() -> None:
    flat, rough = JpegSize().score(["", ""], [Image.new("RGB", (32, 32), "red"), noise(0)])
    assert flat < rough


def test_small_files_are_preferred_by_the_compressibility_task() -> None:
    images = [noise(0), Image.new("RGB", (32, 32))]
    assert (JpegSize(prefer="small").score(["", ""], images) == -JpegSize().score(["", ""], images)).all()


def test_lower_quality_is_a_smaller_file() -> None:
    assert JpegSize(quality=50).score([""], [noise(0)]) < JpegSize().score([""], [noise(0)])


def test_every_setting_that_changes_the_number_changes_the_id() -> None:
    ids = {JpegSize(quality, prefer).id for quality in (90, 95) for prefer in ("large", "small")}
    assert ids == {"jpeg-size@q90", "jpeg-size@q95", "jpeg-size@q90-small", "jpeg-size@q95-small"}


def test_published_images_by_hand(shared_data: Path) -> None:
    """The four ImageReward samples, against Pillow's own files."""
    images = [Image.open(shared_data / "imagereward" / f"{n}.webp").convert("RGB") for n in (1, 2, 3, 4)]
    raw = JpegSize().score([""] * 4, images)
    for value, image in zip(raw, images, strict=True):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=95)
        assert value == np.float32(len(file.getvalue()) / 1000)


@pytest.mark.parametrize("wrong", [{"quality": 0}, {"quality": 101}, {"prefer": "big"}])
def test_refuses_impossible_settings(wrong: dict) -> None:
    with pytest.raises(UserError, match=f"jpeg-size: {next(iter(wrong))}="):
        JpegSize(**wrong)
