"""Pick-a-Pic v1 and v2: Parquet with `caption`, `jpg_0`, `jpg_1` (encoded bytes), `label_0` and more.

`label_0` is the share of the preference of the first image (1, 0, 0.5; anything between is a soft label); `has_label`
false means nobody judged. `best_image_uid` repeats what `label_0` says and is not read. Single images stand in the
same way with a verdict each.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tastemaker.data.comparison import parse_verdict
from tastemaker.data.readers.options import Options
from tastemaker.data.readers.parquet import (
    SUFFIX,
    Cells,
    Layout,
    Shard,
    Shards,
    image_cell,
    open_shards,
    plain_cell,
    text_cell,
)
from tastemaker.data.readers.row import Place, Preference, Row, Side, read_label, read_preference
from tastemaker.data.readers.table import SUFFIXES

FORMAT = "pickapic"
OPTIONAL = ("has_label", "user_id")


def claims(path: Path) -> bool:
    """Whether this is Parquet, of whatever columns, or a file that is nothing else either."""
    if path.is_file():
        return path.suffix.lower() not in (*SUFFIXES, ".json")
    return any(path.rglob(f"*{SUFFIX}"))


def open_path(path: Path, options: Options) -> Shards:
    """A file or a folder of them. Raises `UserError` as `parquet.open_shards`."""
    options.refuse(path, "question")
    return open_shards(path, options.split, FORMAT, LAYOUTS)


def open_hub(shards: list[Shard], options: Options) -> Shards:
    """Files of the hub, which are downloaded as they are read."""
    options.refuse(Path(shards[0].name), "question")
    return Shards(FORMAT, LAYOUTS, tuple(shards))


def _pair(cells: Cells, source: str, place: Place) -> Row:
    a, b = (
        Side(f"jpg_{n}", image_cell(cells[f"jpg_{n}"], f"jpg_{n}"), plain_cell(cells.get(f"model_{n}"))) for n in (0, 1)
    )
    said = read_preference(cells["label_0"], "label_0", _judged(cells))
    return _row(cells, "caption", (a, b), said, source, place)


def _single(cells: Cells, source: str, place: Place, prompt: str, image: str, label: str) -> Row:
    side = Side(image, image_cell(cells[image], image), plain_cell(cells.get("model")))
    said = Preference(read_label(parse_verdict, cells[label], label, _judged(cells)))
    return _row(cells, prompt, (side, None), said, source, place)


def _row(
    cells: Cells, prompt: str, sides: tuple[Side, Side | None], said: Preference, source: str, place: Place
) -> Row:
    judge = plain_cell(cells.get("user_id"))
    return Row(place, source, text_cell(cells[prompt], prompt), *sides, judge=judge, **said._asdict())


def _judged(cells: Cells) -> bool:
    return cells.get("has_label") is not False


def _layout_of_singles(prompt: str, image: str, label: str) -> Layout:
    needed = {prompt: "text", image: "bytes", label: "true or false"}
    row = partial(_single, prompt=prompt, image=image, label=label)
    return Layout(needed, ("model", *OPTIONAL), row, "Pick-a-Pic")


LAYOUTS = (
    Layout(
        {"caption": "text", "jpg_0": "bytes", "jpg_1": "bytes", "label_0": "a number"},
        ("model_0", "model_1", *OPTIONAL),
        _pair,
        "Pick-a-Pic",
    ),
    *(
        _layout_of_singles(prompt, image, label)
        for prompt, image in (("caption", "jpg"), ("prompt", "image"))
        for label in ("liked", "label")
    ),
)
