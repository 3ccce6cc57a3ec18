"""Encoded images, ordinary and odd, and Pick-a-Pic files made of them."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ORIENTATION = 0x0112
SCHEMA = pa.schema(
    {
        "are_different": pa.bool_(),
        "best_image_uid": pa.string(),
        "caption": pa.string(),
        "created_at": pa.timestamp("ns"),
        "has_label": pa.bool_(),
        "image_0_uid": pa.string(),
        "image_0_url": pa.string(),
        "image_1_uid": pa.string(),
        "image_1_url": pa.string(),
        "jpg_0": pa.binary(),
        "jpg_1": pa.binary(),
        "label_0": pa.float64(),
        "label_1": pa.float64(),
        "model_0": pa.string(),
        "model_1": pa.string(),
        "ranking_id": pa.int64(),
        "user_id": pa.int64(),
        "num_example_per_prompt": pa.int64(),
        "__index_level_0__": pa.int64(),
    }
)
"""Columns of Pick-a-Pic v1 and v2, as on the data set's card."""


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(seed: int, width: int = 16, height: int = 16) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def jpeg(seed: int, width: int = 16, height: int = 16) -> bytes:
    return encoded(noise(seed, width, height), "JPEG")


def truncated(seed: int = 7) -> bytes:
    whole = jpeg(seed, 64, 64)
    return whole[: len(whole) // 2]


def cmyk(*ink: int) -> bytes:
    return encoded(Image.new("CMYK", (8, 8), ink), "JPEG", quality=100)


def deep(value: int) -> bytes:
    """A 16-bit grey PNG."""
    return encoded(Image.fromarray(np.full((8, 8), value, np.uint16)))


def palette_with_alpha() -> bytes:
    """Left half transparent, right half blue."""
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (4, 0, 8, 8))
    return encoded(image, transparency=0)


def rotated(kind: str = "JPEG", orientation: int = 6) -> bytes:
    """12 × 8 as stored, the left half red; turned by 90° clockwise on show, so that the top half is red."""
    image = Image.new("RGB", (12, 8), "white")
    image.paste("red", (0, 0, 6, 8))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(image, kind, exif=exif, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}))


def animated(kind: str = "GIF") -> bytes:
    """Green, then blue."""
    frames = [Image.new("RGB", (8, 8), color) for color in ("lime", "blue")]
    return encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )


def bomb(width: int = 20_000, height: int = 10_000) -> bytes:
    """A grey PNG of 200 million pixels in 200 kB."""
    packed = zlib.compressobj(9)
    row = bytes(1 + width)
    data = b"".join(packed.compress(row) for _ in range(height)) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def row(
    prompt: str | None, first: bytes | None, second: bytes | None, label: float | None = 1.0, **more: Any
) -> dict[str, Any]:
    """A row of Pick-a-Pic."""
    other = None if label is None else 1 - label
    known = {"caption": prompt, "jpg_0": first, "jpg_1": second, "label_0": label, "label_1": other, "has_label": True}
    return {**known, "user_id": 1, "model_0": "one", "model_1": "two", **more}


def write_pickapic(path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path, **options)
    return path


def quarantined(data: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (data / "quarantine.jsonl").read_text().splitlines()]


def reasons(data: Path) -> list[tuple[int, str]]:
    """(row, reason) of every line in quarantine."""
    return [(line["row"], line["reason"]) for line in quarantined(data)]


def contents(data: Path) -> dict[str, bytes]:
    """Every file of a store but the summary, which holds a time."""
    files = sorted(path for path in data.rglob("*") if path.is_file() and path.name not in ("summary.json", ".lock"))
    return {path.relative_to(data).as_posix(): path.read_bytes() for path in files}


def write_noise_pairs(folder: Path, pairs: int = 40) -> Path:
    """A folder with one Pick-a-Pic shard of noise: wins of either side and ties in turn, every ninth row unlabelled."""
    labels = (1.0, 0.0, 0.5)
    rows = [
        row(f"picture {n % 25}", jpeg(2 * n, 40 + n, 48), jpeg(2 * n + 1, 48, 40), labels[n % 3], has_label=n % 9 != 8)
        for n in range(pairs)
    ]
    write_pickapic(folder / "train-00000-of-00001.parquet", rows)
    return folder
