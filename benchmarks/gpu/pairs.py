"""Random pairs in Pick-a-Pic's layout, and the way of any user from there: import, score, rank, encode."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tastemaker.base.draw import numbers
from tastemaker.data.importing import import_data
from tastemaker.encode.encoding import encode
from tastemaker.rank.ranking import rank
from tastemaker.score.models.jpeg_size import JpegSize
from tastemaker.score.runner import score

QUALITY = 90


def picture(number: int, side: int) -> bytes:
    """A JPEG of ``side``² pixels, smooth as pictures are."""
    coarse = numbers("benchmark", number).random((side // 12, side // 12, 3)) * 255
    file = io.BytesIO()
    grown = Image.fromarray(coarse.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    grown.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def write(path: Path, count: int, side: int) -> Path:
    """``count`` judged pairs, each with its own prompt and images."""
    rows = [
        {
            "caption": f"a picture of thing {number}",
            "jpg_0": picture(2 * number, side),
            "jpg_1": picture(2 * number + 1, side),
            "label_0": float(number % 2),
            "label_1": float(1 - number % 2),
            "has_label": True,
        }
        for number in range(count)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def prepare(model: Path, out: Path, count: int, side: int) -> dict[str, float]:
    """OUT/data, OUT/pairs and OUT/cache; returns images/s of the encoder with the model's loading left in."""
    source = write(out / "source" / "pairs.parquet", count, side)
    import_data(str(source), out / "data")
    scorer = JpegSize()
    score(out / "data", scorer)
    rank(out / "data", scorer.id, out / "pairs")
    summary = encode([out / "pairs"], out / "data", str(model), out / "cache", dtype="bfloat16", batch_size=16)
    return {"images encoded per second": 2 * count / float(summary["seconds"])}
