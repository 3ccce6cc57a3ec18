"""A table written in instalments: what a killed run has finished is found again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base import files
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa


class Journal:
    """Consecutive parts ``part-<first row>.parquet`` in ``folder``; only whole parts are ever visible.

    One process at a time: hold `files.locked` on the folder above. ``rows`` counts what is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        files.clear_temporaries(folder)
        self.rows = sum(table.num_rows for table in self.tables())

    def append(self, table: pa.Table) -> None:
        """Add the next rows durably."""
        import pyarrow.parquet as pq

        with files.atomic_file(self.folder / f"part-{self.rows:09d}.parquet") as temporary:
            pq.write_table(table, temporary)
        self.rows += table.num_rows

    def tables(self) -> Iterator[pa.Table]:
        """The parts written so far, in order."""
        return (read_table(path) for path in sorted(self.folder.glob("part-*.parquet")))


def write_tables(tables: Iterable[pa.Table], path: Path, row_group: int) -> None:
    """Write ``tables`` (at least one) durably as one Parquet file, ``row_group`` rows a group, one group in memory.

    The bytes do not depend on how the rows are split into tables.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    first, rest = next(iterator := iter(tables)), iterator
    pending = first.slice(0, 0)
    with files.atomic_file(path) as temporary, pq.ParquetWriter(temporary, first.schema) as writer:
        for table in itertools.chain([first], rest):
            pending = pa.concat_tables([pending, table])
            while pending.num_rows >= row_group:
                writer.write_table(pending.slice(0, row_group).combine_chunks(), row_group_size=row_group)
                pending = pending.slice(row_group)
        if pending.num_rows:
            writer.write_table(pending.combine_chunks(), row_group_size=row_group)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A Parquet file as a table; raises `UserError` naming the file when it is missing, damaged or lacks a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=columns, partitioning=None)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; make it first") from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise UserError(f"{path}: not readable as Parquet ({str(error).splitlines()[0]}); make it again") from None
