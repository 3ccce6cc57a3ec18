"""Ordered pairs on disk: `RANKED/pairs.parquet` and `discarded.parquet`, row order = training order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file

NAME = "pairs.parquet"
DISCARDED = "discarded.parquet"
TEXT, FLOAT = pa.string(), pa.float32()
ORIGIN = "origin"
SCHEMA = pa.schema(
    [
        *((name, TEXT) for name in ("pair_id", "prompt", "prompt_sha", "winner", "loser")),
        *((name, FLOAT) for name in ("strength", "psi_winner", "psi_loser", "quality")),
    ]
)


@dataclass(frozen=True)
class Pair:
    """One lesson: for this prompt, the image ``winner`` (sha) was preferred to ``loser`` (sha).

    An image that was judged alone stands in the place of the winner when it is liked, else in the loser's; the other
    place, and its ψ, is None.
    """

    pair_id: str
    prompt: str
    prompt_sha: str
    winner: str | None
    loser: str | None
    strength: float
    """1 for a plain winner; less where the judges disagreed."""
    quality: float
    psi_winner: float | None
    psi_loser: float | None
    origin: str = "label"
    """Who says so: the `label`; or the scorers, where it is `swapped` (`rank.relabel`) or `constructed`."""

    @property
    def single(self) -> bool:
        """Whether one image was judged alone."""
        return self.winner is None or self.loser is None

    @property
    def sign(self) -> int:
        """−1 for a disliked image alone, else +1."""
        return -1 if self.winner is None else 1

    @property
    def images(self) -> tuple[str, ...]:
        """The winner and the loser, as far as there are."""
        return tuple(image for image in (self.winner, self.loser) if image is not None)


def read_pairs(ranked: Path) -> list[Pair]:
    """The kept pairs in training order; raises `UserError` when ``ranked`` is not an output of the verb rank."""
    columns = _read(ranked / NAME).to_pydict()
    pairs = [Pair(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    if empty := next((pair.pair_id for pair in pairs if not pair.images), None):
        raise UserError(f"{ranked / NAME}: {empty} has neither winner nor loser; rank again into another --out")
    return pairs


def read_settings(ranked: Path) -> dict[str, Any]:
    """How ``ranked`` was made: ``scorer``, ``calibration``, ``cut``, ``quality_at_cut``, and what else was chosen."""
    metadata = _read(ranked / NAME).schema.metadata or {}
    return {key.decode(): json.loads(value) for key, value in metadata.items()}


def write_pairs(path: Path, table: pa.Table, settings: Mapping[str, Any]) -> None:
    """Write rows of `SCHEMA` (and more, such as ``reason``) durably; ``settings`` become metadata, as JSON."""
    metadata = {key: json.dumps(value, allow_nan=False) for key, value in settings.items()}
    with atomic_file(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)


def _read(path: Path) -> pa.Table:
    if not path.exists():
        raise UserError(f"{path}: no such file; make it with: tastemaker rank DATA --scorer NAME --out {path.parent}")
    try:
        table = pq.read_table(path)
        return table.select([*SCHEMA.names, *(name for name in (ORIGIN,) if name in table.column_names)])
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{path}: not readable as ranked pairs ({error}); rank again into another --out") from None
