"""Folders `liked` and `disliked`: captions beside the images or in a table, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.pictures import contents, jpeg, quarantined
from support.singles import X, Y, Z, found, run, write, write_table
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data import intake, store
from tastemaker.data.importing import import_data
from tastemaker.data.readers import verdicts
from tastemaker.data.store import ImageStore, read_comparisons

LIKES = {"liked/x.jpg": X, "liked/x.txt": " a cat\n", "disliked/deep/z.png": Z, "disliked/deep/z.txt": "two\nlines"}


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
