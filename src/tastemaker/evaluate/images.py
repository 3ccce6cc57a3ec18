"""Reading IMAGES folders, and making sure that two of them can be compared."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.evaluate.generating import IMAGES, PROMPTS, SETTINGS
from tastemaker.evaluate.journal import read_table

if TYPE_CHECKING:
    from PIL.Image import Image

KEYS = ["prompt_index", "prompt", "sample"]
ALIKE = "generate both with the same --prompts, --samples and --seed"


def settings(folder: Path) -> dict[str, Any]:
    """What the images of ``folder`` were drawn with."""
    document = files.read_json(folder / SETTINGS)
    if not isinstance(document, dict) or not isinstance(document.get("seed"), int):
        raise UserError(f"{folder / SETTINGS}: no 'seed'; make the folder again with `tastemaker generate`")
    return document


def keys(folder: Path) -> list[dict[str, Any]]:
    """``prompt_index``, ``prompt`` and ``sample`` of every image, in file order."""
    rows: list[dict[str, Any]] = read_table(folder / IMAGES, KEYS).to_pylist()
    if not rows:
        raise UserError(f"{folder / IMAGES}: holds no image; make it again with `tastemaker generate`")
    return rows


def groups(folder: Path) -> dict[str, list[str]]:
    """Field (such as ``category``) → its value for each prompt by prompt_index, "" where unknown.

    Empty where no prompt has any, and for a folder of an older version. Raises `UserError` for a damaged file, and for
    one whose prompts are not those of the images.
    """
    path = folder / PROMPTS
    if not path.exists():
        return {}
    columns: dict[str, list[Any]] = read_table(path).to_pydict()
    drawn = dict.fromkeys((row["prompt_index"], row["prompt"]) for row in keys(folder))
    if list(drawn) != list(zip(columns.pop("prompt_index", []), columns.pop("prompt", []), strict=False)):
        raise UserError(f"{path}: its prompts are not those of {IMAGES}; make the folder again")
    return {field: [value or "" for value in values] for field, values in columns.items()}


def check_alike(folders: Sequence[Path]) -> tuple[int, int]:
    """Numbers of prompts and of samples a prompt, the same in all ``folders``; the first is the base.

    Raises `UserError` naming two folders and their first difference in prompts, samples or seed.
    """
    base, seed = keys(folders[0]), settings(folders[0])["seed"]
    for folder in folders[1:]:
        if (other := settings(folder)["seed"]) != seed:
            raise UserError(f"{folder}: drawn with seed {other}, {folders[0]} with {seed}; {ALIKE}")
        _check_rows(folders[0], base, folder, keys(folder))
    prompts = len({row["prompt_index"] for row in base})
    if len(base) % prompts:
        raise UserError(f"{folders[0] / IMAGES}: not the same number of samples for every prompt; make it again")
    return prompts, len(base) // prompts


def _check_rows(base: Path, base_rows: list[dict[str, Any]], other: Path, other_rows: list[dict[str, Any]]) -> None:
    for number, (one, two) in enumerate(zip(base_rows, other_rows, strict=False), 1):
        if one != two:
            raise UserError(f"{other}: image {number} is {_called(two)}, in {base} it is {_called(one)}; {ALIKE}")
    if len(base_rows) != len(other_rows):
        raise UserError(f"{other}: holds {len(other_rows)} images, {base} {len(base_rows)}; {ALIKE}")


def _called(row: dict[str, Any]) -> str:
    prompt = row["prompt"] if len(row["prompt"]) <= 60 else row["prompt"][:59] + "…"
    return f"sample {row['sample']} of prompt {row['prompt_index']} {prompt!r}"


def batches(folder: Path, start: int, size: int) -> Iterator[tuple[list[str], list[Image]]]:
    """Prompts and decoded RGB images of ``folder`` from row ``start`` on, ``size`` at a time, one chunk in memory."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / IMAGES) as file:
        for chunk in file.iter_batches(size, columns=["prompt", "png"]):
            rows = chunk.slice(min(start, len(chunk)))
            start = max(0, start - len(chunk))
            if len(rows):
                yield rows.column(0).to_pylist(), [open_png(png) for png in rows.column(1).to_pylist()]


def open_png(png: bytes) -> Image:
    """Decode one stored image."""
    from PIL import Image as Images

    return Images.open(io.BytesIO(png)).convert("RGB")


def first_samples(folder: Path, prompts: Sequence[int]) -> dict[int, tuple[str, Image]]:
    """Sample 0 of the prompts with these indices: index → (prompt, image)."""
    import pyarrow.parquet as pq

    chosen = [("prompt_index", "in", list(prompts)), ("sample", "=", 0)]
    rows = pq.read_table(folder / IMAGES, filters=chosen, partitioning=None).to_pylist()
    return {row["prompt_index"]: (row["prompt"], open_png(row["png"])) for row in rows}
