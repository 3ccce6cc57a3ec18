"""Rapidata's human preferences: Parquet with `prompt`, `image1`, `image2`, `model1`, `model2` and what people chose.

Older sets count votes (`votes_image1`, `votes_image2`) on the one question that their name says. The newer ones ask
three (`QUESTIONS`), and have each voter count by how well he has answered before:
`weighted_results_image1_preference` and so on; `detailed_results_preference` lists the votes behind it. Either way the
share is that of the first image in the whole.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from pathlib import Path

from tastemaker.base.errors import UserError
from tastemaker.data.readers.options import QUESTIONS, Options, Question
from tastemaker.data.readers.parquet import (
    Cells,
    Layout,
    Shard,
    Shards,
    columns_of,
    image_cell,
    open_shards,
    plain_cell,
    text_cell,
)
from tastemaker.data.readers.row import Place, Row, Side, poll

FORMAT = "rapidata"
OWNER = "rapidata/"  # of the data sets on the hub
IMAGES = ("image1", "image2")
MODELS = ("model1", "model2")
VOTES = ("votes_image1", "votes_image2")


def claims(path: Path) -> bool:
    """Whether the columns are Rapidata's."""
    columns = columns_of(path)
    weights = [set(_weights(question)) for question in QUESTIONS]
    return {"prompt", *IMAGES} <= columns and any(some <= columns for some in (set(VOTES), *weights))


def open_path(path: Path, options: Options) -> Shards:
    """A file or a folder of them. Raises `UserError` as `parquet.open_shards`, and for an unknown question."""
    return open_shards(path, options.split, FORMAT, _layouts(options.question))


def open_hub(shards: list[Shard], options: Options) -> Shards:
    """Files of the hub, which are downloaded as they are read."""
    return Shards(FORMAT, _layouts(options.question), tuple(shards))


def _layouts(question: Question | None) -> tuple[Layout, ...]:
    """Who names a question means a set that asks several; where none is named, one that only counts votes will do."""
    if question not in (None, *QUESTIONS):
        raise UserError(f"--question {question}: is none of {', '.join(QUESTIONS)}")
    asked = question or QUESTIONS[0]
    weighted = _layout(_weights(asked), f"detailed_results_{asked}")
    return (weighted,) if question else (_layout(VOTES), weighted)


def _weights(question: Question) -> tuple[str, str]:
    return f"weighted_results_image1_{question}", f"weighted_results_image2_{question}"


def _layout(got: tuple[str, str], details: str = "") -> Layout:
    needed = {"prompt": "text", **dict.fromkeys(IMAGES, "bytes"), **dict.fromkeys(got, "a number")}
    optional = (*MODELS, *filter(None, [details]))
    return Layout(needed, optional, partial(_row, got=got, details=details), "a set of Rapidata")


def _row(cells: Cells, source: str, place: Place, got: tuple[str, str], details: str) -> Row:
    a, b = (
        Side(image, image_cell(cells[image], image), plain_cell(cells.get(model)))
        for image, model in zip(IMAGES, MODELS, strict=True)
    )
    first, second = (cells[name] for name in got)
    votes = _listed(cells.get(details)) if details else (first or 0) + (second or 0)
    said = poll(first, second, got[0], votes)
    return Row(place, source, text_cell(cells["prompt"], "prompt"), a, b, **said._asdict())


def _listed(details: bytes | None) -> int | None:
    """How many votes are listed; None where that cannot be read."""
    with suppress(ValueError, RecursionError):
        votes = json.loads(details or b"null")
        return len(votes) or None if isinstance(votes, list) else None
    return None
