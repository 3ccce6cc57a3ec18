"""Pick-a-Pic's schema: what each column means, and what a file must have."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.pictures import SCHEMA, jpeg, reasons, row, write_pickapic
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data.importing import import_data
from tastemaker.data.readers import parquet
from tastemaker.data.store import ImageStore, read_comparisons

X, Y, Z = jpeg(1), jpeg(2), jpeg(3)


def test_columns(tmp_path: Path) -> None:
    rows = [row("cat", X, Y, 1.0, user_id=7), row("dog", X, Y, 0.0), row("cow", X, Y, 0.5, user_id=None)]
    write_pickapic(tmp_path / "in.parquet", rows)
    summary = import_data(str(tmp_path / "in.parquet"), tmp_path / "data")
    found = read_comparisons(tmp_path / "data")
    assert [(c.prompt, c.label, c.judge) for c in found] == [("cat", "a", "7"), ("dog", "b", "1"), ("cow", "tie", "")]
    assert (found[0].image_a, found[0].image_b) == (sha256_bytes(X), sha256_bytes(Y))
    assert (found[0].model_a, found[0].model_b, found[0].source) == ("one", "two", "in.parquet")
    assert len({c.pair_id for c in found}) == 3
    assert (summary["format"], summary["rows"], summary["pairs"], summary["ties"]) == ("pickapic", 3, 3, 1)
    assert (summary["images"], summary["image_bytes"], summary["prompts"]) == (2, len(X) + len(Y), 3)
    assert ImageStore(tmp_path / "data").read(sha256_bytes(X)) == X


def test_rows_without_a_verdict(tmp_path: Path) -> None:
    rows = [row("p", X, Y, 1.0, has_label=False), row("p", X, Y, None), row("p", X, Y, math.nan), row("p", X, Y, 1.7)]
    write_pickapic(tmp_path / "in.parquet", [*rows, row("p", X, Y, 1.0, has_label=None)])
    summary = import_data(str(tmp_path / "in.parquet"), tmp_path / "data")
    assert reasons(tmp_path / "data") == [(0, "unlabelled"), (1, "unlabelled"), (2, "unlabelled"), (3, "label_unknown")]
    assert (summary["rows"], summary["pairs"], summary["quarantined"]) == (5, 1, 4)
    assert summary["quarantine"] == {"label_unknown": 1, "unlabelled": 3}


def test_missing_cells(tmp_path: Path) -> None:
    rows = [row(None, X, Y), row("p", None, Y), row("p", X, b""), row(None, None, None)]
    write_pickapic(tmp_path / "in.parquet", rows)
    import_data(str(tmp_path / "in.parquet"), tmp_path / "data")
    one, two = "prompt_missing", "image_missing"
    assert reasons(tmp_path / "data") == [(0, one), (1, two), (2, two), (3, one), (3, two), (3, two)]


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    """Parquet does not check its strings; one bad prompt must not take its batch along."""
    rows = write_pickapic(tmp_path / "in.parquet", [row("good", X, Y), row("also good", Y, Z), row("bad!", X, Z)])
    spoilt = rows.read_bytes().replace(b"bad!", b"bad\xff")
    rows.write_bytes(spoilt)
    import_data(str(rows), tmp_path / "data")
    assert [c.prompt for c in read_comparisons(tmp_path / "data")] == ["good", "also good"]
    assert reasons(tmp_path / "data") == [(2, "prompt_not_utf8")]


def test_images_as_structs_and_few_columns(tmp_path: Path) -> None:
    """What the `datasets` library writes for its Image feature."""
    struct = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    image = pa.array([{"bytes": X, "path": None}, None], struct)
    other = pa.array([{"bytes": Y, "path": "y.jpg"}, {"bytes": Y, "path": None}], struct)
    table = pa.table({"caption": ["p", "q"], "jpg_0": image, "jpg_1": other, "label_0": pa.array([0, 1])})
    pq.write_table(table, tmp_path / "in.parquet")
    import_data(str(tmp_path / "in.parquet"), tmp_path / "data")
    assert [c.label for c in read_comparisons(tmp_path / "data")] == ["b"]
    assert reasons(tmp_path / "data") == [(1, "image_missing")]


def test_a_folder_of_shards_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, prompt in (("b/2", "three"), ("a", "one"), ("b/1", "two")):
        write_pickapic(tmp_path / "in" / f"{name}.parquet", [row(prompt, X, Y)])
    import_data(str(tmp_path / "in"), tmp_path / "data")
    found = read_comparisons(tmp_path / "data")
    assert [(c.prompt, c.source) for c in found] == [
        ("one", "a.parquet"),
        ("two", "b/1.parquet"),
        ("three", "b/2.parquet"),
    ]


def test_splits_are_not_mixed(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "test", "test_unique")):
        write_pickapic(tmp_path / "in" / f"{split}-00000-of-00001-abc.parquet", [row(f"p{number}", X, Y)])
    with pytest.raises(UserError, match="holds the splits test, test_unique, train; say which with --split"):
        import_data(str(tmp_path / "in"), tmp_path / "data")
    with pytest.raises(UserError, match="no split 'val'; found test, test_unique, train"):
        import_data(str(tmp_path / "in"), tmp_path / "data", split="val")
    assert not (tmp_path / "data").exists()
    import_data(str(tmp_path / "in"), tmp_path / "data", split="test")
    assert [c.prompt for c in read_comparisons(tmp_path / "data")] == ["p1"]


def test_row_groups_and_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(f"p{i}", jpeg(i), jpeg(100 + i)) for i in range(20)]
    whole = write_pickapic(tmp_path / "one" / "in.parquet", rows)
    import_data(str(whole), tmp_path / "data1")
    monkeypatch.setattr(parquet, "BATCH_BYTES", 2000)
    groups = write_pickapic(tmp_path / "two" / "in.parquet", rows, row_group_size=7)
    import_data(str(groups), tmp_path / "data2")
    assert read_comparisons(tmp_path / "data1") == read_comparisons(tmp_path / "data2")


def test_files_that_are_no_pick_a_pic(tmp_path: Path) -> None:
    good = write_pickapic(tmp_path / "good.parquet", [row("p", X, Y)])
    table = pq.read_table(good)
    cases = {
        "none": (None, "no such file or folder"),
        "empty": (b"", "not a whole Parquet file"),
        "cut": (good.read_bytes()[:-30], "not a whole Parquet file"),
        "rowless": (SCHEMA.empty_table(), "has no rows"),
        "captionless": (
            table.drop_columns("caption"),
            r"lacks the column caption; needs caption, .*, found are_different",
        ),
        "imageless": (
            table.drop_columns(["jpg_0", "jpg_1"]),
            "lacks the column jpg_0; this is a variant without images",
        ),
        "numbers": (table.set_column(2, "caption", pa.array([1])), "the column caption holds int64, not text"),
        "words": (table.set_column(11, "label_0", pa.array(["a"])), "the column label_0 holds string, not a number"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / f"{name}.parquet"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            pq.write_table(content, path)
        with pytest.raises(UserError, match=rf"{name}\.parquet.*{message}") as caught:
            import_data(str(path), tmp_path / "data")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "data").exists()


def test_a_file_that_is_damaged_inside(tmp_path: Path) -> None:
    rows = [row(f"p{i}", jpeg(i), jpeg(100 + i)) for i in range(20)]
    path = write_pickapic(tmp_path / "in.parquet", rows, row_group_size=5, compression="zstd")
    column = pq.ParquetFile(path).metadata.row_group(2).column(9)
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"in\.parquet: damaged after row 10 .*download it again"):
        import_data(str(path), tmp_path / "data")
    assert not (tmp_path / "data" / "comparisons.parquet").exists()
