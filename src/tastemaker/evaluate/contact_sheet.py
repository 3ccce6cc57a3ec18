"""Many images at one glance."""

from __future__ import annotations

import io
import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 64
TILE = (96, 256)
"""Smallest and largest side of a tile, in pixels."""
GAP = 4


def contact_sheet(images: Path, most: int = MOST) -> Image:
    """The first ``most`` images of an ``images.parquet``, in reading order on a square grid."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(images) as file:
        batches = file.iter_batches(1, columns=["png"])
        pngs = [batch.column(0)[0].as_py() for batch in itertools.islice(batches, most)]
    return grid([_open(png) for png in pngs])


def grid(images: list[Image], columns: int | None = None) -> Image:
    """``images`` (at least one) as tiles on white, ``columns`` wide; small ones are enlarged by whole pixels."""
    from PIL import Image as Images

    columns = columns or math.ceil(math.sqrt(len(images)))
    tiles = [_tile(image) for image in images]
    width, height = (max(tile.size[axis] for tile in tiles) + GAP for axis in (0, 1))
    sheet = Images.new("RGB", (columns * width + GAP, math.ceil(len(tiles) / columns) * height + GAP), "white")
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (GAP + index % columns * width, GAP + index // columns * height))
    return sheet


def _open(png: bytes) -> Image:
    from PIL import Image as Images

    return Images.open(io.BytesIO(png)).convert("RGB")


def _tile(image: Image) -> Image:
    from PIL.Image import Resampling

    if max(image.size) < TILE[0]:
        factor = math.ceil(TILE[0] / max(image.size))
        return image.resize((image.width * factor, image.height * factor), Resampling.NEAREST)
    tile = image.copy()
    tile.thumbnail((TILE[1], TILE[1]))
    return tile
