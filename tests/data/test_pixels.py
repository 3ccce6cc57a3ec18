"""`data/images.py`: colours by hand, limits, and that inspecting and decoding agree."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from support import pictures
from tastemaker.data import images
from tastemaker.data.images import ImageProblem, decode, inspect, probe, to_pixels


def colours(data: bytes) -> np.ndarray:
    image = decode(data)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize(
    ("ink", "light"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (0, 255, 255)),  # cyan ink
        ((0, 255, 0, 0), (255, 0, 255)),  # magenta
        ((0, 0, 255, 0), (255, 255, 0)),  # yellow
        ((0, 0, 0, 255), (0, 0, 0)),  # black
    ],
)
def test_cmyk(ink: tuple[int, ...], light: tuple[int, ...]) -> None:
    assert np.abs(colours(pictures.cmyk(*ink)) - light).max() <= 3
    assert inspect(pictures.cmyk(*ink)).notes == ("cmyk",)


@pytest.mark.parametrize(("value", "upper"), [(0, 0), (255, 0), (256, 1), (0x8000, 128), (65535, 255)])
def test_16_bit_grey_keeps_the_upper_byte(value: int, upper: int) -> None:
    assert (colours(pictures.deep(value)) == upper).all()
    assert inspect(pictures.deep(value)).notes == ("deep",)


def test_16_bit_tiff() -> None:
    data = pictures.encoded(Image.fromarray(np.full((4, 4), 0x4000, np.uint16)), "TIFF")
    assert (colours(data) == 64).all()
    assert "deep" in inspect(data).notes


def test_transparent_palette_lies_on_white() -> None:
    pixels = colours(pictures.palette_with_alpha())
    assert (pixels[:, :4] == 255).all()
    assert (pixels[:, 4:] == (0, 0, 255)).all()
    assert inspect(pictures.palette_with_alpha()).notes == ("transparent",)


def test_half_transparent_black_on_white_is_grey() -> None:
    data = pictures.encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128)))
    assert (np.abs(colours(data) - 127) <= 1).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation(kind: str) -> None:
    data = pictures.rotated(kind)
    pixels = colours(data)
    assert pixels.shape == (12, 8, 3)
    assert (pixels[:5, :, 1] < 40).all(), "red on top"
    assert (pixels[7:, :, 1] > 215).all(), "white below"
    assert probe(data) == (kind, 8, 12)
    assert "rotated" in inspect(data).notes


def test_damaged_exif_leaves_the_image_as_it_lies() -> None:
    plain = pictures.jpeg(1, 12, 8)
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff\x01\0"
    data = plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]
    assert probe(data) == ("JPEG", 12, 8)
    assert (colours(data) == colours(plain)).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(kind: str) -> None:
    assert (colours(pictures.animated(kind)) == (0, 255, 0)).all()
    assert inspect(pictures.animated(kind)).notes[:1] == ("animated",)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    data = pictures.encoded(Image.new(mode, (3, 2)), kind)
    assert (decode(data).mode, decode(data).size) == ("RGB", (3, 2))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_format_is_read_from_the_content(kind: str) -> None:
    assert probe(pictures.encoded(pictures.noise(3, 20, 10), kind)) == (kind, 20, 10)


def test_plain_images_have_no_notes() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        assert inspect(pictures.encoded(pictures.noise(1), kind)).notes == ()


def test_a_bomb_is_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes beyond the limit at which Pillow refuses, only beyond ours, and where Pillow warns."""
    monkeypatch.setattr(images, "_load", lambda _: pytest.fail("decoded"))
    warnings.simplefilter("error")  # pytest takes it back
    for width, height in ((20_000, 10_000), (9_000, 4_001), (13_000, 8_000)):
        with pytest.raises(ImageProblem) as caught:
            inspect(pictures.bomb(width, height))
        assert caught.value.reason == "image_too_many_pixels"
        assert str(width) in caught.value.detail or str(width * height) in caught.value.detail
    assert probe(pictures.bomb(9_000, 4_000)) == ("PNG", 9_000, 4_000)


def test_damaged_and_foreign_bytes() -> None:
    whole = pictures.jpeg(1, 64, 64)
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    floats = pictures.encoded(Image.new("F", (2, 2)), "TIFF")
    cases = {
        b"": "image_unknown_format",
        b"hello": "image_unknown_format",
        postscript: "image_unknown_format",
        whole[:20]: "image_unknown_format",
        whole[: len(whole) // 2]: "image_damaged",
        whole[:-30]: "image_damaged",
        floats: "image_pixels_unsupported",
    }
    for data, reason in cases.items():
        for look in (inspect, decode):
            with pytest.raises(ImageProblem) as caught:
                look(data)
            assert caught.value.reason == reason, data[:30]


def test_mutilated_bytes_raise_nothing_else() -> None:
    """Inspecting and decoding agree on 600 images with random bytes changed, and only `ImageProblem` gets out."""
    numbers = np.random.default_rng(0)
    sources = [
        pictures.jpeg(1),
        pictures.deep(9),
        pictures.palette_with_alpha(),
        pictures.animated(),
        pictures.rotated("TIFF"),
    ]
    sources.append(pictures.encoded(pictures.noise(2), "WEBP"))
    for number in range(600):
        data = bytearray(sources[number % len(sources)])
        for at in numbers.integers(0, len(data), 4):
            data[at] = numbers.integers(256)
        outcomes = [_outcome(look, bytes(data)) for look in (inspect, decode)]
        assert outcomes[0] == outcomes[1]


def _outcome(look: object, data: bytes) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            look(data)  # type: ignore[operator]
        except ImageProblem as problem:
            return problem.reason
    return ""


def test_pixels_by_hand() -> None:
    image = Image.new("RGB", (6, 4), (255, 0, 51))
    pixels = to_pixels(image, 2, 2)
    assert (pixels.shape, pixels.dtype, pixels.flags["C_CONTIGUOUS"]) == ((3, 2, 2), np.float32, True)
    np.testing.assert_allclose(pixels[:, 0, 0], [1, -1, 51 / 127.5 - 1], atol=1e-6)


def test_pixels_of_the_right_size_are_not_resampled() -> None:
    image = pictures.noise(4)
    back = (to_pixels(image, 16, 16).transpose(1, 2, 0) + 1) * 127.5
    assert (np.round(back) == np.asarray(image)).all()


def test_pixels_are_the_centre_square() -> None:
    """Short side resized and the centre cropped: with an even scale this is exactly Pillow's resize, cropped."""
    image = pictures.noise(5, 64, 32)
    whole = image.resize((32, 16), Image.Resampling.BICUBIC).crop((8, 0, 24, 16))
    expected = np.asarray(whole, np.float32).transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(to_pixels(image, 16, 16), expected, atol=1e-5)


def test_pixels_of_a_shape_that_is_not_square() -> None:
    """64 × 32 covers 24 × 16 (width × height) at half its size, 32 × 16, of which the middle 24 columns stay."""
    image = pictures.noise(5, 64, 32)
    whole = image.resize((32, 16), Image.Resampling.BICUBIC).crop((4, 0, 28, 16))
    expected = np.asarray(whole, np.float32).transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(to_pixels(image, 16, 24), expected, atol=1e-5)


def test_a_very_long_image_costs_little() -> None:
    assert to_pixels(Image.new("RGB", (30_000, 1)), 64, 64).shape == (3, 64, 64)


def test_real_images(shared_data) -> None:
    for number in range(1, 5):
        data = (shared_data / "imagereward" / f"{number}.webp").read_bytes()
        assert probe(data)[0] == "WEBP"
        assert decode(data).size == Image.open(io.BytesIO(data)).size
