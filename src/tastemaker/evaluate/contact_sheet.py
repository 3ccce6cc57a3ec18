"""Many images at one glance."""

from __future__ import annotations

import io
import itertools
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

MOST = 64
TILE = (96, 256)
"""Smallest and largest side of a tile, in pixels."""
GAP = 4
ASIDE, LINE, LETTERS = 176, 16, 26
"""Width of the column of prompts and height of a line in pixels, and letters on such a line."""


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


def comparison_sheet(names: Sequence[str], rows: Sequence[tuple[str, Sequence[Image]]]) -> Image:
    """``rows`` (at least one) of a prompt and what each model drew for it, under the models' ``names``, on white."""
    from PIL import Image as Images
    from PIL import ImageDraw

    tiles = grid([image for _, images in rows for image in images], len(names))
    width, height = (tiles.width - GAP) // len(names), (tiles.height - GAP) // len(rows)
    heads = [wrapped(name, width * LETTERS // ASIDE, 3) for name in names]
    top = LINE * max(head.count("\n") + 1 for head in heads) + GAP
    sheet = Images.new("RGB", (ASIDE + tiles.width, top + tiles.height), "white")
    sheet.paste(tiles, (ASIDE, top))
    pen, font = ImageDraw.Draw(sheet), _font()
    for column, head in enumerate(heads):
        pen.text((ASIDE + GAP + column * width, GAP), head, "black", font)
    for row, (prompt, _) in enumerate(rows):
        pen.text((GAP, top + GAP + row * height), wrapped(prompt, LETTERS, height // LINE), "black", font)
    return sheet


def wrapped(text: str, letters: int, lines: int) -> str:
    """``text`` on at most ``lines`` lines of at most ``letters`` letters, with … where some of it is left out."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return "\n".join(textwrap.wrap(printable, max(8, letters), max_lines=max(1, lines), placeholder="…"))


def _font() -> FreeTypeFont:
    """DejaVu, which comes with matplotlib and knows more alphabets than Pillow's own font."""
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 11)


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
