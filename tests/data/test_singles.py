"""One image, liked or not: every form it comes in, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.pictures import contents, encoded, jpeg, noise, quarantined, reasons
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data import intake, store
from tastemaker.data.comparison import Comparison, parse_verdict
from tastemaker.data.importing import import_data
from tastemaker.data.readers import verdicts
from tastemaker.data.store import ImageStore, read_comparisons, write_comparisons

X, Y, Z = jpeg(1), jpeg(2), encoded(noise(3))


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def write_table(root: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    return write(root, {name: "".join(json.dumps(row) + "\n" for row in rows)})


def run(root: Path, **options: Any) -> dict[str, Any]:
    return import_data(str(root), root.parent / "data", **options)


def found(root: Path) -> list[tuple[str, str, str | None, str]]:
    comparisons = read_comparisons(root.parent / "data")
    return [(one.prompt, one.image_a, one.image_b, one.label) for one in comparisons]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "in", {"x.jpg": X, "y.jpg": Y, "z.png": Z})


LIKES = {"liked/x.jpg": X, "liked/x.txt": " a cat\n", "disliked/deep/z.png": Z, "disliked/deep/z.txt": "two\nlines"}


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


def test_two_folders(tmp_path: Path) -> None:
    root = write(tmp_path / "in", LIKES)
    summary = run(root)
    assert found(root) == [
        ("two\nlines", sha256_bytes(Z), None, "disliked"),
        ("a cat", sha256_bytes(X), None, "liked"),
    ]
    assert [one.source for one in read_comparisons(tmp_path / "data")] == ["disliked/deep/z.png", "liked/x.jpg"]
    assert (summary["format"], summary["rows"], summary["liked"], summary["disliked"]) == ("verdicts", 2, 1, 1)
    assert ImageStore(tmp_path / "data").read(sha256_bytes(Z)) == Z


def test_only_what_is_liked(tmp_path: Path) -> None:
    summary = run(write(tmp_path / "in", {"liked/x.jpg": X, "liked/x.txt": "p"}))
    assert (summary["liked"], summary["disliked"]) == (1, 0)


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_captions_in_a_table(tmp_path: Path, name: str) -> None:
    root = write(tmp_path / "in", {"liked/x.jpg": X, "disliked/y.jpg": Y, "disliked/y.txt": "dog"})
    lines = [("liked/x.jpg", "cat"), ("./disliked/y.jpg", "dog")]
    rows = [json.dumps({"file_name": file, "text": text}) for file, text in lines]
    table = rows if name.endswith("jsonl") else ["file_name,text", *(",".join(line) for line in lines)]
    run(write(root, {name: "\n".join(table)}))
    assert [(prompt, label) for prompt, _, _, label in found(root)] == [("dog", "disliked"), ("cat", "liked")]


def test_what_is_wrong_in_two_folders(tmp_path: Path) -> None:
    """Every file and every line is a row: kept, or in quarantine."""
    images = {f"liked/{name}.jpg": jpeg(number) for number, name in enumerate("abcdef")}
    texts = {
        "liked/a.txt": "a",
        "liked/b.txt": "other",
        "liked/d.txt": b"\xff",
        "liked/e.txt": " \n",
        "liked/f.txt": "",
    }
    strange = {"liked/alone.txt": "no image", "liked/Thumbs.db": b"junk", "disliked/.DS_Store": b"hidden", "z.jpg": X}
    lines = [
        {"file_name": "liked/a.jpg", "text": "a"},
        {"file_name": "liked/b.jpg", "text": "b"},
        {"file_name": "liked/gone.jpg", "text": "p"},
        {"file_name": "z.jpg", "text": "p"},
        {"file_name": "../in/z.jpg", "text": "p"},
        {"file_name": "liked/twice.jpg", "text": "p"},
        {"file_name": "liked/twice.jpg", "text": "p"},
        {"file_name": "liked/c.jpg"},
        {"file_name": "", "text": "p"},
        {"text": "p"},
        {"file_name": ".", "text": "p"},
    ]
    root = write_table(write(tmp_path / "in", {**images, **texts, **strange}), lines, "metadata.jsonl")
    write(root, {"liked/twice.jpg": jpeg(77)})
    with (root / "metadata.jsonl").open("a") as file:
        file.write("{broken\n")
    (root / "liked" / "link.jpg").symlink_to("/etc/hostname")
    summary = run(root)
    found_reasons = {(line["source"], line["row"], line["reason"]) for line in quarantined(tmp_path / "data")}
    assert found_reasons == {
        ("liked/b.jpg", 0, "prompt_ambiguous"),
        ("liked/c.jpg", 0, "prompt_missing"),
        ("liked/d.jpg", 0, "prompt_not_utf8"),
        ("liked/e.jpg", 0, "prompt_empty"),
        ("liked/f.jpg", 0, "prompt_missing"),
        ("liked/gone.jpg", 0, "image_missing"),
        ("z.jpg", 0, "unlabelled"),
        ("../in/z.jpg", 0, "image_outside_folder"),
        ("../in/z.jpg", 0, "unlabelled"),
        ("liked/twice.jpg", 0, "prompt_ambiguous"),
        ("liked/alone.txt", 0, "image_missing"),
        ("liked/Thumbs.db", 0, "image_unknown_format"),
        ("liked/Thumbs.db", 0, "prompt_missing"),
        ("liked/link.jpg", 0, "image_outside_folder"),
        ("liked/link.jpg", 0, "prompt_missing"),
        ("metadata.jsonl", 9, "row_columns"),
        ("metadata.jsonl", 10, "row_columns"),
        ("metadata.jsonl", 11, "row_columns"),
        ("metadata.jsonl", 12, "row_not_json"),
    }
    assert [label for *_, label in found(root)] == ["liked"]
    assert summary["rows"] == summary["liked"] + summary["quarantined"] == 17


def test_names_that_are_no_text(tmp_path: Path) -> None:
    root = write(tmp_path / "in", LIKES)
    (root / "liked" / "odd\udcff.jpg").write_bytes(Y)
    (root / "liked" / "odd\udcff.txt").write_text("p")
    assert run(root)["liked"] == 2


def test_a_new_image_leaves_the_ids_of_the_others(tmp_path: Path) -> None:
    before = run(write(tmp_path / "in", LIKES)) and read_comparisons(tmp_path / "data")
    write(tmp_path / "in", {"disliked/a.jpg": Y, "disliked/a.txt": "new"})
    with pytest.raises(UserError, match="other inputs or settings"):
        run(tmp_path / "in")
    import_data(str(tmp_path / "in"), tmp_path / "more")
    after = {one.pair_id for one in read_comparisons(tmp_path / "more")}
    assert len(after) == 3
    assert {one.pair_id for one in before} < after


def test_a_stopped_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"liked/{i}.jpg": jpeg(i) for i in range(6)} | {f"liked/{i}.txt": f"p{i}" for i in range(6)}
    root = write_table(write(tmp_path / "in", files), [{"text": "broken"}], "metadata.jsonl")
    import_data(str(root), tmp_path / "whole")
    monkeypatch.setattr(intake, "WINDOW_ROWS", 1)
    monkeypatch.setattr(store, "SHARD_IMAGES", 2)
    import_data(str(root), tmp_path / "shards")
    look, read = verdicts._image, list[str]()
    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "_image", lambda root, name: _stop(name) or look(root, name))
        with pytest.raises(KeyboardInterrupt):
            run(root)
    monkeypatch.setattr(verdicts, "_image", lambda root, name: read.append(name) or look(root, name))
    run(root)
    assert read == ["liked/4.jpg", "liked/5.jpg"], "what was done is not read again"
    assert contents(tmp_path / "data") == contents(tmp_path / "shards")
    assert read_comparisons(tmp_path / "data") == read_comparisons(tmp_path / "whole")


def _stop(name: str) -> None:
    if name == "liked/4.jpg":
        raise KeyboardInterrupt


def test_which_reader(tmp_path: Path) -> None:
    """A table of comparisons may keep its images in folders of these names; then it is the table that counts."""
    root = write(tmp_path / "in", LIKES)
    write_table(root, [{"prompt": "p", "chosen": "liked/x.jpg", "rejected": "disliked/deep/z.png"}], "pairs.jsonl")
    assert run(root)["format"] == "folder"
    assert import_data(str(root), tmp_path / "other", format="verdicts")["liked"] == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"liked/.hidden": "x"}, "in: no images in liked or disliked"),
        ({**LIKES, "metadata.csv": "a\n", "metadata.jsonl": ""}, r"holds metadata\.csv and metadata\.jsonl; keep one"),
        ({"other/x.jpg": X}, "nothing in it looks like .*verdicts"),
    ],
)
def test_folders_that_cannot_be_read(tmp_path: Path, files: dict[str, bytes | str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(write(tmp_path / "in", files))
    assert not (tmp_path / "data").exists()


def test_wrong_options(tmp_path: Path) -> None:
    root = write(tmp_path / "in", LIKES)
    with pytest.raises(UserError, match="in: --split means nothing here; leave it out"):
        run(root, split="train")
    with pytest.raises(UserError, match="not a folder; give the one that holds liked and disliked"):
        run(root / "liked" / "x.jpg", format="verdicts")


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
