"""ImageReward (Xu et al. 2023, arXiv 2304.05977): rankings, in one of two forms.

The repository's `test.json` has one item a prompt: `prompt`, `generations` (n paths) and `ranking` (n, the lower the
better, ties count). ImageRewardDB has one row an image: `prompt_id`, `prompt`, `image_path` and `rank`, in
`metadata-<split>.parquet` and again in `images/<split>/<split>_<k>/<split>_<k>.json`; the rows of a `prompt_id` are
one ranking. Experts agreed on each ranking, so a pair says who won, and no share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tastemaker.base.errors import UserError
from tastemaker.data.readers.listed import (
    Fields,
    Listed,
    Listing,
    Pair,
    lists,
    lower_wins,
    open_listed,
    ranking,
    unlike,
)
from tastemaker.data.readers.options import Options, of_split
from tastemaker.data.readers.parquet import SUFFIX, columns_of
from tastemaker.data.readers.row import Problem
from tastemaker.data.readers.table import Record, plain, records, text_or_problem

FORMAT = "imagereward"
RANKING = {"prompt", "generations", "ranking"}
IMAGE = ("image_path", "prompt_id", "prompt", "rank")
METADATA = "metadata-"
DEEPER = "images/*/*/*"  # where ImageRewardDB's lists lie


def claims(path: Path) -> bool:
    """Whether this is one of the two forms, or a folder with one in it."""
    return bool(_tables(path))


def open_path(path: Path, options: Options) -> Listed:
    """A table, or a folder of them. Raises `UserError` where there is none, and for several splits."""
    options.refuse(path, "question")
    if not (found := _tables(path)):
        raise UserError(f"{path}: no table with {', '.join(sorted(RANKING))} or {', '.join(IMAGE)}")
    root = path.parent if path.is_file() else path
    chosen = of_split(found, options.split, str(path), lambda table: _split(table.relative_to(root)))
    return open_listed(LISTING, root, chosen)


def _tables(path: Path) -> list[Path]:
    """The metadata, else lists in the folder itself, else those beside the images, which say the same."""
    metadata = [path] if path.is_file() else sorted(path.glob(f"{METADATA}*{SUFFIX}"))
    found = [file for file in metadata if columns_of(file) >= set(IMAGE)]
    return found or lists(path, _fits) or ([] if path.is_file() else lists(path, _fits, DEEPER))


def _split(table: PurePath) -> str:
    return table.parts[1] if len(table.parts) > 2 else table.stem.removeprefix(METADATA)


def _fits(fields: Fields) -> bool:
    return fields.keys() >= RANKING or _is_image(fields)


def _is_image(fields: Fields) -> bool:
    return fields.keys() >= set(IMAGE) and isinstance(fields["image_path"], str)


def _rankings(table: Path) -> Iterator[Record]:
    """One record a ranking."""
    if table.suffix.lower() == SUFFIX:
        return _grouped(_cells(table))
    return _grouped(records(table)) if lists(table, _is_image) else records(table)


def _grouped(images: Iterable[Record]) -> Iterator[Record]:
    """Rankings in the order of their first rows, once all rows are gathered: 300 bytes an image, without its pixels."""
    groups: dict[str, list[Record]] = {}
    broken = []
    for record in images:
        fields = _lacking(record.fields, IMAGE)
        if isinstance(fields, Problem):
            broken.append(Record(record.line, fields))
        else:
            groups.setdefault(plain(fields["prompt_id"]), []).append(record)
    yield from sorted([*map(_gathered, groups.values()), *broken], key=lambda record: record.line)


def _cells(table: Path) -> Iterator[Record]:
    try:
        number = 0
        for batch in pq.ParquetFile(table).iter_batches(columns=list(IMAGE)):
            for fields in batch.to_pylist():
                yield Record(number, fields)
                number += 1
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{table}: damaged ({' '.join(str(error).split())[:200]}); download it again") from None


def _gathered(images: list[Record]) -> Record:
    """A ranking of the rows of one prompt; its number is that of the first."""
    rows: list[dict[str, Any]] = [image.fields for image in images if not isinstance(image.fields, Problem)]
    if len({plain(row["prompt"]) for row in rows}) > 1:
        what = f"the images of {plain(rows[0]['prompt_id'])} have different prompts"
        return Record(images[0].line, Problem("prompt", "prompt_ambiguous", what))
    paths, ranks = ([row[name] for row in rows] for name in ("image_path", "rank"))
    return Record(images[0].line, {"prompt": rows[0]["prompt"], "generations": paths, "ranking": ranks})


def _lacking(fields: Fields | Problem, names: Iterable[str]) -> Fields | Problem:
    """The fields, or the problem that some are not there."""
    lacking = [] if isinstance(fields, Problem) else sorted(set(names) - fields.keys())
    return Problem("", "row_columns", f"lacks {', '.join(lacking)}") if lacking else fields


def _pairs(fields: Fields) -> Iterable[Pair] | Problem:
    if isinstance(whole := _lacking(fields, RANKING), Problem):
        return whole
    images, ranks = fields["generations"], fields["ranking"]
    if wrong := unlike(images, ranks, "generations and ranking"):
        return wrong
    prompt = text_or_problem(fields["prompt"])
    return ranking(prompt, images, "generations", lambda i, j: lower_wins(ranks[i], ranks[j], "ranking"))


def _elsewhere(table: PurePath, reference: str) -> str:
    """Beside the list, whatever folders the path names."""
    return (table.parent / PurePath(reference).name).as_posix()


LISTING = Listing(FORMAT, _pairs, _rankings, _elsewhere)
