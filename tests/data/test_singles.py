"""One image, liked or not: every form the verdict has, tables of them, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.pictures import quarantined, reasons
from support.singles import X, Y, Z, found, run, write, write_table
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data.comparison import Comparison, parse_verdict
from tastemaker.data.importing import import_data
from tastemaker.data.store import read_comparisons, write_comparisons


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "in", {"x.jpg": X, "y.jpg": Y, "z.png": Z})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *[(form, "liked") for form in (True, 1, 1.0, "true", "True", " liked ", "1", "1.0")],
        *[(form, "disliked") for form in (False, 0, 0.0, "FALSE", "Disliked", "0")],
        *[(form, None) for form in (None, "", " ", math.nan, "nan")],
    ],
)
def test_verdict_forms(written: object, meant: str | None) -> None:
    assert parse_verdict(written) == meant


@pytest.mark.parametrize("written", [0.5, -1, 2, "a", "tie", "good", [], {}, "inf"])
def test_other_verdicts_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="none of true, false, liked, disliked, 1, 0"):
        parse_verdict(written)


def test_a_single_image_has_no_other_order() -> None:
    single = Comparison("id", "cat", "x", None, "disliked", model_a="m")
    assert single.swap() is single
    assert single.images == ("x",)
    assert Comparison("id", "cat", "x", "y", "a").images == ("x", "y")


def test_a_table(folder: Path) -> None:
    rows = [
        {"prompt": "cat", "image": "x.jpg", "liked": True, "judge": "anna", "model": "sdxl"},
        {"prompt": "cat", "image": "y.jpg", "label": False},
        {"prompt": "cat", "image": "y.jpg", "image_a": "x.jpg", "image_b": "z.png", "label": 1},
    ]
    summary = run(write_table(folder, rows))
    x, y, z = map(sha256_bytes, (X, Y, Z))
    assert found(folder) == [("cat", x, None, "liked"), ("cat", y, None, "disliked"), ("cat", x, z, "a")]
    first, *_ = read_comparisons(folder.parent / "data")
    assert (first.judge, first.model_a, first.model_b) == ("anna", "sdxl", "")
    counts = ("rows", "pairs", "liked", "disliked", "ties", "quarantined", "images")
    assert [summary[name] for name in counts] == [3, 1, 1, 1, 0, 0, 3]
    assert pq.read_table(folder.parent / "data" / "comparisons.parquet")["image_b"].to_pylist() == [None, None, z]


def test_a_csv(folder: Path) -> None:
    write(folder, {"rows.csv": "prompt,image,liked\na,x.jpg,1\nb,y.jpg,False\nc,z.png,\nd,z.png,0.5\n"})
    summary = run(folder)
    assert [label for *_, label in found(folder)] == ["liked", "disliked"]
    assert reasons(folder.parent / "data") == [(4, "unlabelled"), (5, "label_unknown")]
    assert (summary["pairs"], summary["liked"], summary["disliked"], summary["quarantined"]) == (0, 1, 1, 2)


def test_rows_that_lack_something(folder: Path) -> None:
    good = {"prompt": "p", "image": "x.jpg", "liked": True}
    rows = [good, {**good, "image": None}, {**good, "image": "none.png"}, {**good, "prompt": 3}, {"image": "x.jpg"}]
    run(write_table(folder, [*rows, {"prompt": "p", "image": "x.jpg"}, {**good, "image": "../in/x.jpg"}]))
    assert [(line["row"], line["reason"], line["field"]) for line in quarantined(folder.parent / "data")] == [
        (2, "image_missing", "image"),
        (3, "image_missing", "image"),
        (4, "prompt_missing", "prompt"),
        (5, "row_columns", ""),
        (6, "row_columns", ""),
        (7, "image_outside_folder", "image"),
    ]
    assert quarantined(folder.parent / "data")[4]["detail"] == "lacks liked"


def test_repeats_confirmations_and_contradictions(folder: Path) -> None:
    verdicts = [(True, "i"), (True, "i"), (True, "you"), (False, "i"), (False, "i")]
    rows = [{"prompt": "p", "image": "x.jpg", "liked": liked, "judge": judge} for liked, judge in verdicts]
    pair = {"prompt": "p", "chosen": "x.jpg", "rejected": "y.jpg"}
    other = {"prompt": "q", "image": "x.jpg", "liked": False}
    summary = run(write_table(folder, [*rows, pair, other]))
    assert reasons(folder.parent / "data") == [(2, "repeat"), (5, "repeat")]
    assert quarantined(folder.parent / "data")[0]["detail"] == "rows.jsonl:1 says the same"
    assert [summary[name] for name in ("liked", "disliked", "pairs", "confirmed", "contradicted")] == [2, 2, 1, 1, 1]


@pytest.mark.parametrize(("prompt", "image"), [("caption", "jpg"), ("prompt", "image")])
@pytest.mark.parametrize("label", ["liked", "label"])
def test_parquet(tmp_path: Path, prompt: str, image: str, label: str) -> None:
    struct = pa.array([{"bytes": data, "path": None} for data in (X, Y, Z)], pa.struct({"bytes": pa.binary()}))
    images = struct if image == "image" else pa.array([X, Y, Z])
    table = {prompt: ["a", "b", "c"], image: images, label: [True, False, None], "model": ["m", None, "m"]}
    pq.write_table(pa.table(table | {"user_id": [1, 2, 3]}), tmp_path / "in.parquet")
    summary = run(tmp_path / "in.parquet")
    assert found(tmp_path / "in") == [("a", sha256_bytes(X), None, "liked"), ("b", sha256_bytes(Y), None, "disliked")]
    assert [(one.judge, one.model_a) for one in read_comparisons(tmp_path / "data")] == [("1", "m"), ("2", "")]
    assert [line["field"] for line in quarantined(tmp_path / "data")] == [label]
    assert (summary["liked"], summary["disliked"], summary["quarantine"]) == (1, 1, {"unlabelled": 1})


def test_parquet_numbers_and_other_columns(tmp_path: Path) -> None:
    table = {"prompt": ["a", "b", "c"], "image": [X, Y, Z], "label": [1, 0, 2], "has_label": [True, False, True]}
    pq.write_table(pa.table(table), tmp_path / "in.parquet")
    run(tmp_path / "in.parquet")
    assert [label for *_, label in found(tmp_path / "in")] == ["liked"]
    assert reasons(tmp_path / "data") == [(1, "unlabelled"), (2, "label_unknown")]
    pq.write_table(pa.table(table | {"label": ["x", "y", "z"]}), tmp_path / "text.parquet")
    with pytest.raises(UserError, match="the column label holds string, not true or false"):
        import_data(str(tmp_path / "text.parquet"), tmp_path / "other")


def test_a_store_that_contradicts_itself(tmp_path: Path) -> None:
    write_comparisons(tmp_path, [Comparison("x", "p", "a", None, "liked"), Comparison("y", "p", "a", None, "tie")])
    with pytest.raises(UserError, match="row 1: label 'tie' with 1 image; import the data again"):
        read_comparisons(tmp_path)
    write_comparisons(tmp_path, [Comparison("x", "p", "a", "b", "liked")])
    with pytest.raises(UserError, match="row 0: label 'liked' with 2 images"):
        read_comparisons(tmp_path)
