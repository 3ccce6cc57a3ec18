"""Encoded bytes → pixels, with limits: what an image is, is read from its content and never from its name.

Only the formats listed here are opened (no EPS, which would run Ghostscript), and nothing is decoded before the
header has said that it is small enough.
"""

from __future__ import annotations

import io
import threading
import warnings
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
EXTENSIONS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP",
    ".tif": "TIFF", ".tiff": "TIFF", ".avif": "AVIF",
}  # fmt: skip
MAX_PIXELS = 36_000_000  # 6000 × 6000; Pillow's WebP decoder needs 16 bytes a pixel for a moment
LARGE_PIXELS = 4_000_000  # above this, one decode at a time
MODES = ("1", "L", "La", "LA", "P", "PA", "RGB", "RGBX", "RGBa", "RGBA", "CMYK", "YCbCr", "I;16", "I;16B", "I;16L")
ORIENTATION = 0x0112  # EXIF tag

_warning_filters = threading.Lock()
_large_decode = threading.Lock()


class ImageProblem(Exception):
    """Bytes that cannot be used as an image: ``reason`` is counted, ``detail`` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Facts(NamedTuple):
    """What `inspect` found.

    ``notes`` names what `decode` will have to change: `animated`, `cmyk`, `deep`, `rotated`, `transparent`.
    """

    format: str
    width: int
    height: int
    notes: tuple[str, ...]


def probe(data: bytes) -> tuple[str, int, int]:
    """Format, width and height in pixels (after EXIF rotation) from the header alone. Raises `ImageProblem`."""
    return _facts(_open(data))[:3]


def inspect(data: bytes) -> Facts:
    """Like `probe`, and decodes the first frame to its last row. Raises `ImageProblem` where `decode` would."""
    image = _open(data)
    facts = _facts(image)
    _load(image)
    return facts


def decode(data: bytes) -> Image.Image:
    """The image as 8-bit RGB, upright, transparency laid on white, the first frame of an animation.

    CMYK goes to RGB by Pillow's formula (profiles are not applied); of 16-bit samples the upper 8 bits are kept.
    Raises `ImageProblem` with one of the reasons `image_unknown_format`, `image_too_many_pixels`,
    `image_pixels_unsupported` and `image_damaged`.
    """
    image = _open(data)
    _load(image)
    with suppress(Exception):  # damaged EXIF around good pixels is common: the image stays as it lies
        image = ImageOps.exif_transpose(image)
    return _rgb(image)


def to_pixels(image: Image.Image, height: int, width: int) -> NDArray[np.float32]:
    """``image`` resized (bicubic) until it just covers height × width, cut at its centre: float32 [3, H, W] in [-1, 1].

    Only what is kept is resampled, so a very long image costs no more than a square one.
    """
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(fitted, np.float32).transpose(2, 0, 1)  # [3, H, W] in [0, 255]
    return np.ascontiguousarray(pixels / np.float32(127.5) - np.float32(1))


def _open(data: bytes) -> Image.Image:
    """Read the header and refuse what is too large. Nothing is decoded yet."""
    try:
        with _warning_filters, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageProblem("image_too_many_pixels", str(error)) from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers raise almost anything on hostile bytes
        raise ImageProblem("image_unknown_format", f"not one of {', '.join(FORMATS)}: {_text(error)}") from None
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width} × {image.height} pixels"
        raise ImageProblem("image_too_many_pixels", f"{size}, at most {MAX_PIXELS / 1e6:.0f} million are read")
    if image.mode not in MODES and not _old_16_bit(image):
        raise ImageProblem("image_pixels_unsupported", f"{image.format} with pixels of type {image.mode}")
    return image


def _load(image: Image.Image) -> None:
    large = image.width * image.height > LARGE_PIXELS
    try:
        with _large_decode if large else nullcontext():
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ImageProblem("image_damaged", f"{image.format}: {_text(error)}") from None


def _facts(image: Image.Image) -> Facts:
    """What the header says; call it before the pixels are loaded."""
    turned = _orientation(image)
    sideways = turned >= 5 and image.format != "TIFF"  # Pillow has turned a TIFF's size already
    width, height = (image.height, image.width) if sideways else image.size
    notes = {
        "animated": image.format != "MPO" and _several_frames(image),
        "cmyk": image.mode == "CMYK",
        "deep": image.mode.startswith("I") or "16" in _raw_mode(image),
        "rotated": turned > 1,
        "transparent": image.has_transparency_data,
    }
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    return Facts(kind, width, height, tuple(name for name, is_so in notes.items() if is_so))


def _orientation(image: Image.Image) -> int:
    try:
        value = Image.Image.getexif(image).get(ORIENTATION, 1)  # the PNG class's own would decode the pixels
    except Exception:  # damaged EXIF says nothing
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _several_frames(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged second frame is none
        return False


def _raw_mode(image: Image.Image) -> str:
    """How the file stores a pixel, such as `RGB;16B`."""
    tile = getattr(image, "tile", None)
    arguments = tile[0][3] if tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _old_16_bit(image: Image.Image) -> bool:
    return image.mode == "I" and image.format == "PNG"


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
