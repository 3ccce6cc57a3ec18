"""Pairs or images that were judged alone: a ranking holds one kind, because their Q do not compare.

Q of a pair is a product of two factors, that of one image a single one, so in one order the single ones would stand
first, whatever they are worth; and a batch of training has one kind, too.
"""

from __future__ import annotations

from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.base.errors import UserError

Kind = Literal["pairs", "singles", "liked"]
"""Two images; one image; one image that is liked, which is all that SFT can learn from."""
KINDS: tuple[Kind, ...] = get_args(Kind)


def select(comparisons: pa.Table, only: Kind | None) -> pa.Table:
    """The rows of one kind; with ``only`` None all of them, if they are of one kind.

    Raises `UserError` for a mixture, and where there is none of that kind.
    """
    single = pc.is_null(comparisons["image_b"])
    singles, rows = pc.sum(single).as_py() or 0, len(comparisons)
    if only is None and 0 < singles < rows:
        raise UserError(
            f"{rows - singles} pairs and {singles} single images are not ranked in one order, their Q do not compare; "
            "say --only pairs, --only singles or --only liked"
        )
    if only is None:
        return comparisons
    found = comparisons.filter(_is(comparisons, single, only))
    if not len(found):
        raise UserError(f"--only {only}: there is none among {rows - singles} pairs and {singles} single images")
    return found


def _is(comparisons: pa.Table, single: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    if kind == "liked":
        return pc.equal(comparisons["label"], "liked")
    return single if kind == "singles" else pc.invert(single)
