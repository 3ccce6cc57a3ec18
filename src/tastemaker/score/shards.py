"""The ledger of a scoring run: shards named by the rows they hold, each visible only when whole.

What is in a shard is done, so a run that was killed goes on with the rows that are in none. Rows that could not be
scored stand there too, with the reason instead of a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, sha256_text

TEXT = pa.string()
SCHEMA = pa.schema([("sha", TEXT), ("prompt_sha", TEXT), ("raw", pa.float32()), ("reason", TEXT), ("detail", TEXT)])


@dataclass(frozen=True)
class Row:
    """One (image, prompt): its score, or why there is none."""

    sha: str
    prompt_sha: str
    raw: float | None = None
    reason: str | None = None
    detail: str | None = None


def write_shard(folder: Path, rows: Sequence[Row]) -> None:
    """Add ``rows`` to the ledger, durably."""
    name = sha256_text("\n".join(f"{row.sha} {row.prompt_sha}" for row in rows))[:16]
    with atomic_file(folder / f"shard-{name}.parquet") as temporary:
        pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], SCHEMA), temporary)


def read_shards(folder: Path) -> pa.Table:
    """All rows of the ledger, in no particular order."""
    return pa.concat_tables([SCHEMA.empty_table(), *map(_read, sorted(folder.glob("shard-*.parquet")))])


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, schema=SCHEMA)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it, its rows will be scored again") from None
