"""The columns in which other trainers read a ranking; pure: rows and images in, an Arrow table out.

``pickapic``: Pick-a-Pic's schema (data set cards of v1 and v2), the winner always first. What a ranking does not know,
such as addresses and users, is null. ``preference``: prompt, chosen and rejected as the `Image` feature of the
`datasets` library. Single images have the layouts that `tastemaker import` and TRL's KTO read: an image and a verdict.
Every layout ends with the numbers of the ranking.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import pyarrow as pa

Format = Literal["pickapic", "preference"]
FORMATS: tuple[Format, ...] = get_args(Format)
KNOWN = ("prompt", "prompt_sha", "winner", "loser")
"""Columns of a ranking that every layout writes in its own way; the others are carried over as they are."""
COUNT, MODELS = "num_example_per_prompt", ("model_winner", "model_loser")
"""What the rows have beside the columns of a ranking: the kept rows of the same prompt, and what made the images."""

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
PICKAPIC = pa.schema(
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
        COUNT: pa.int64(),
        "__index_level_0__": pa.int64(),
    }
)
VERDICT = pa.schema(
    {"caption": pa.string(), "image_uid": pa.string(), "jpg": pa.binary(), "liked": pa.bool_(), "model": pa.string()}
)
PREFERENCE = pa.schema({"prompt": pa.string(), "chosen": IMAGE, "rejected": IMAGE})
OPINION = pa.schema({"prompt": pa.string(), "image": IMAGE, "label": pa.bool_()})

Read = Callable[[str], bytes]
"""The encoded bytes of an image (sha)."""
Columns = dict[str, Sequence[Any]]


class Layout(NamedTuple):
    """The columns of a format's own, and what fills them from ``rows`` (as Python lists); others are null."""

    schema: pa.Schema
    fill: Callable[[Columns, Read], Columns]


def schema(form: Format, singles: bool, rows: pa.Schema) -> pa.Schema:
    """The Arrow schema of ``form`` with the numbers of the ranking ``rows``, and the features that `datasets` reads."""
    fields = [*LAYOUTS[form, singles].schema, *carried(rows)]
    features = {field.name: _feature(field.type) for field in fields}
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def carried(rows: pa.Schema) -> list[pa.Field]:
    """The plain columns of a ranking that are written as they are: pair_id, strength, ψ, quality and newer ones."""
    own = {*KNOWN, *MODELS, COUNT}
    return [field for field in rows if field.name not in own and not pa.types.is_nested(field.type)]


def fill(form: Format, singles: bool, rows: pa.Table, target: pa.Schema, read: Read) -> pa.Table:
    """``rows`` of a ranking, with `COUNT` and `MODELS`, as a table of ``target``; its images are in memory."""
    columns: Columns = rows.to_pydict()
    found = LAYOUTS[form, singles].fill(columns, read)
    absent = [None] * len(rows)
    return pa.table({name: found.get(name, columns.get(name, absent)) for name in target.names}, schema=target)


def _pickapic(rows: Columns, read: Read) -> Columns:
    winners, losers = rows["winner"], rows["loser"]
    ones, n = [1.0] * len(winners), len(winners)
    return {
        "are_different": [winner != loser for winner, loser in zip(winners, losers, strict=True)],
        "best_image_uid": winners,
        "caption": rows["prompt"],
        "has_label": [True] * n,
        "image_0_uid": winners,
        "image_1_uid": losers,
        "jpg_0": [read(sha) for sha in winners],
        "jpg_1": [read(sha) for sha in losers],
        "label_0": ones,
        "label_1": [0.0] * n,
        "model_0": rows["model_winner"],
        "model_1": rows["model_loser"],
    }


def _verdict(rows: Columns, read: Read) -> Columns:
    images = _single(rows)
    models = [winner or loser for winner, loser in zip(*(rows[name] for name in MODELS), strict=True)]
    facts: Columns = {"image_uid": images, "jpg": [read(sha) for sha in images], "liked": _liked(rows)}
    return {"caption": rows["prompt"], **facts, "model": models}


def _preference(rows: Columns, read: Read) -> Columns:
    return {"chosen": _images(rows["winner"], read), "rejected": _images(rows["loser"], read)}


def _opinion(rows: Columns, read: Read) -> Columns:
    return {"image": _images(_single(rows), read), "label": _liked(rows)}


def _images(shas: Sequence[str], read: Read) -> list[dict[str, Any]]:
    return [{"bytes": read(sha), "path": sha} for sha in shas]


def _single(rows: Columns) -> list[str]:
    return [winner or loser for winner, loser in zip(rows["winner"], rows["loser"], strict=True)]


def _liked(rows: Columns) -> list[bool]:
    return [winner is not None for winner in rows["winner"]]


LAYOUTS: dict[tuple[Format, bool], Layout] = {
    ("pickapic", False): Layout(PICKAPIC, _pickapic),
    ("pickapic", True): Layout(VERDICT, _verdict),
    ("preference", False): Layout(PREFERENCE, _preference),
    ("preference", True): Layout(OPINION, _opinion),
}
"""(format, whether the images were judged alone) → its layout."""
DTYPES = {"float": "float32", "double": "float64", "halffloat": "float16"}
"""Arrow's names of types that `datasets` calls otherwise."""


def _feature(kind: pa.DataType) -> dict[str, str]:
    if kind == IMAGE:
        return {"_type": "Image"}
    return {"dtype": DTYPES.get(str(kind), str(kind)), "_type": "Value"}
