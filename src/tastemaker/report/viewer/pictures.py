"""Images as files of their own, each distinct one once."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base import files, progress
from tastemaker.evaluate.generating import IMAGES, ROW_GROUP
from tastemaker.evaluate.images import open_png

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tastemaker.report.viewer.data import Model

FOLDER = "images"
DIGITS = 24
"""Of the hash in a file's name: 96 bits, so that names stay short and do not meet."""

WRITERS = 8
"""Files written at once: most of the time is waiting for the disk to say that one is there."""


@dataclass(frozen=True)
class Stored:
    """A model's files in ``images/`` by prompt and sample, and the size of its first image in pixels."""

    files: tuple[str, ...]
    width: int
    height: int


def store(model: Model, out: Path, jpeg: int | None) -> Stored:
    """Write the images of ``model`` that ``out`` lacks; a file's name is the hash of the PNG that was generated."""
    import pyarrow.parquet as pq

    folder, ending = out / FOLDER, "png" if jpeg is None else "jpg"
    if folder.is_dir():
        files.clear_temporaries(folder)
    there, names = {path.name for path in folder.glob("*")}, []
    count = pq.read_metadata(model.folder / IMAGES).num_rows
    bar = progress.bar(range(count), f"images of {model.name}", unit="image")
    with ThreadPoolExecutor(WRITERS) as pool, bar:
        for pngs in _batches(model.folder):
            names += (new := [f"{files.sha256_bytes(png)[:DIGITS]}.{ending}" for png in pngs])
            lacking = {name: png for name, png in zip(new, pngs, strict=True) if name not in there}
            list(pool.map(lambda item: _write(folder / item[0], item[1], jpeg), lacking.items()))
            there.update(lacking)
            bar.update(len(pngs))
    return Stored(tuple(names), *open_png(next(_batches(model.folder))[0]).size)


def _batches(folder: Path) -> Iterator[list[bytes]]:
    """The stored images in the order of the file, some at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / IMAGES) as file:
        for batch in file.iter_batches(ROW_GROUP, columns=["png"]):
            yield batch.column(0).to_pylist()


def _write(path: Path, png: bytes, jpeg: int | None) -> None:
    with files.atomic_file(path) as temporary:
        temporary.write_bytes(png if jpeg is None else as_jpeg(png, jpeg))


def as_jpeg(png: bytes, quality: int) -> bytes:
    """A stored image as JPEG; colours are kept at full resolution, since people look for small differences."""
    buffer = io.BytesIO()
    open_png(png).save(buffer, "jpeg", quality=quality, subsampling=0)
    return buffer.getvalue()
