"""Tables in instalments."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.base.errors import UserError
from tastemaker.evaluate.journal import Journal, read_table, write_tables


def rows(start: int, count: int) -> pa.Table:
    return pa.table({"x": pa.array(range(start, start + count), pa.int64())})


def test_a_journal_goes_on_where_it_stopped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "parts")
    journal.append(rows(0, 3))
    (tmp_path / "parts" / ".tmp-1-part-000000003.parquet").write_bytes(b"half")
    again = Journal(tmp_path / "parts")
    assert again.rows == 3
    again.append(rows(3, 2))
    assert pa.concat_tables(again.tables())["x"].to_pylist() == [0, 1, 2, 3, 4]
    assert len(list((tmp_path / "parts").iterdir())) == 2


@pytest.mark.parametrize("split", [(70,), (1, 69), (32, 32, 6), (10, 0, 33, 27)])
def test_bytes_do_not_depend_on_the_split(tmp_path: Path, split: tuple[int, ...]) -> None:
    starts = [sum(split[:index]) for index in range(len(split))]
    write_tables([rows(*part) for part in zip(starts, split, strict=True)], tmp_path / "split.parquet", 32)
    write_tables([rows(0, 70)], tmp_path / "whole.parquet", 32)
    assert (tmp_path / "split.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    metadata = pq.read_metadata(tmp_path / "whole.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [32, 32, 6]


def test_damaged_and_missing_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"nonsense")
    for name, message in (("bad.parquet", "not readable"), ("none.parquet", "no such file")):
        with pytest.raises(UserError, match=message) as error:
            read_table(tmp_path / name)
        assert name in str(error.value)
    write_tables([rows(0, 2)], tmp_path / "x.parquet", 32)
    with pytest.raises(UserError, match=r"x\.parquet: not readable as Parquet .*'y'|No match"):
        read_table(tmp_path / "x.parquet", ["y"])
