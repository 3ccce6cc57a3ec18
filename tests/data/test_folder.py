"""A folder of images with a JSONL or CSV table."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from support.pictures import encoded, jpeg, noise, quarantined, reasons
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data.importing import import_data
from tastemaker.data.readers import files, table
from tastemaker.data.store import ImageStore, read_comparisons


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images: x.jpg, y.jpg and deeper/z.png."""
    root = tmp_path / "in"
    (root / "deeper").mkdir(parents=True)
    (root / "x.jpg").write_bytes(jpeg(1))
    (root / "y.jpg").write_bytes(jpeg(2))
    (root / "deeper" / "z.png").write_bytes(encoded(noise(3)))
    return root


def write_jsonl(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def labelled(first: str, second: str, label: object = "a", **more: object) -> dict[str, Any]:
    return {"prompt": "p", "image_a": first, "image_b": second, "label": label, **more}


def run(folder: Path, **options: Any) -> dict[str, Any]:
    return import_data(str(folder), folder.parent / "data", **options)


def test_chosen_and_rejected(folder: Path) -> None:
    write_jsonl(folder, [{"prompt": "cat", "chosen": "deeper/z.png", "rejected": "x.jpg", "judge": "me"}])
    summary = run(folder)
    (found,) = read_comparisons(folder.parent / "data")
    assert (found.prompt, found.label, found.judge, found.source) == ("cat", "a", "me", "pairs.jsonl")
    assert found.image_a == sha256_bytes(encoded(noise(3)))
    assert found.image_b == sha256_bytes(jpeg(1))
    assert (summary["format"], summary["formats"], summary["quarantined"]) == ("folder", {"JPEG": 1, "PNG": 1}, 0)


def test_labels_and_models(folder: Path) -> None:
    rows = [
        labelled("x.jpg", "y.jpg", label, judge=i, model_a="one", model_b="two")
        for i, label in enumerate(["right", 1, 0.5])
    ]
    write_jsonl(folder, [*rows, labelled("x.jpg", "y.jpg", None), labelled("x.jpg", "y.jpg", "maybe")])
    run(folder)
    found = read_comparisons(folder.parent / "data")
    assert [(c.label, c.judge, c.model_a, c.model_b) for c in found] == [
        ("b", "0", "one", "two"),
        ("a", "1", "one", "two"),
        ("tie", "2", "one", "two"),
    ]
    assert reasons(folder.parent / "data") == [(4, "unlabelled"), (5, "label_unknown")]


def test_csv(folder: Path) -> None:
    text = (
        '\ufeffprompt,image_a,image_b,label,note\n"two\nlines, ""quoted""",x.jpg,y.jpg,left,ok\n🐈,x.jpg,y.jpg,0.5,\n'
    )
    (folder / "pairs.csv").write_text(
        text + "short,x.jpg\nlong,x.jpg,y.jpg,a,b,c\nlast,y.jpg,x.jpg,1,\n", encoding="utf-8"
    )
    run(folder)
    found = read_comparisons(folder.parent / "data")
    assert [(c.prompt, c.label) for c in found] == [('two\nlines, "quoted"', "a"), ("🐈", "tie"), ("last", "a")]
    assert reasons(folder.parent / "data") == [(5, "row_columns"), (6, "row_columns")]


def test_paths_may_not_leave_the_folder(folder: Path) -> None:
    (folder.parent / "secret.jpg").write_bytes(jpeg(9))
    (folder / "link.jpg").symlink_to("../secret.jpg")
    (folder / "inner.jpg").symlink_to("deeper/z.png")
    (folder / "out").symlink_to(folder.parent)
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe.jpg")
    bad = {
        "../secret.jpg": "image_outside_folder",
        str(folder / "y.jpg"): "image_outside_folder",
        "deeper/../../secret.jpg": "image_outside_folder",
        "deeper/../y.jpg": "image_outside_folder",
        "link.jpg": "image_outside_folder",
        "out/secret.jpg": "image_outside_folder",
        "nothing.jpg": "image_missing",
        "deeper": "image_missing",
        "pipe.jpg": "image_missing",
        "loop": "image_missing",
        "nul\0.jpg": "image_missing",
        "x" * 5000: "image_missing",
        "": "image_missing",
        "x.jpg/y": "image_missing",
    }
    write_jsonl(folder, [*(labelled("x.jpg", path) for path in bad), labelled("x.jpg", "inner.jpg")])
    run(folder)
    assert [reason for _, reason in reasons(folder.parent / "data")] == list(bad.values())
    assert len(read_comparisons(folder.parent / "data")) == 1
    assert sha256_bytes(jpeg(9)) not in ImageStore(folder.parent / "data")


def test_large_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_FILE", 2000)
    (folder / "large.jpg").write_bytes(jpeg(1, 64, 64))
    write_jsonl(folder, [labelled("x.jpg", "large.jpg")])
    run(folder)
    assert reasons(folder.parent / "data") == [(1, "image_file_too_large")]


def test_a_wrong_extension_is_noted(folder: Path) -> None:
    (folder / "really.jpg").write_bytes(encoded(noise(5)))
    (folder / "nameless").write_bytes(encoded(noise(6)))
    write_jsonl(folder, [labelled("really.jpg", "nameless")])
    summary = run(folder)
    assert (summary["pairs"], summary["formats"], summary["notes"]) == (1, {"PNG": 2}, {"wrong_extension": 1})


def test_lines_that_are_no_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "LARGEST_LINE", 300)
    good = json.dumps(labelled("x.jpg", "y.jpg")).encode()
    lines = [b"{broken", b"", b"[1]", b'{"prompt": "' + b"x" * 1000 + b'"}', b'{"prompt": "p"}', b"[" * 200, good]
    lines += [
        b'{"prompt": 3, "chosen": 4, "rejected": null}',
        b'{"prompt": "\xff", "chosen": "y.jpg", "rejected": "x.jpg"}',
    ]
    (folder / "pairs.jsonl").write_bytes(b"\n".join(lines))
    summary = run(folder)
    assert reasons(folder.parent / "data") == [
        (1, "row_not_json"),
        (3, "row_not_json"),
        (4, "row_too_long"),
        (5, "row_columns"),
        (6, "row_not_json"),
        (8, "prompt_missing"),
        (8, "image_missing"),
        (8, "image_missing"),
        (9, "prompt_not_utf8"),
    ]
    assert (summary["rows"], summary["pairs"], summary["quarantined"]) == (8, 1, 7)


def test_odd_text_reaches_quarantine_as_json(folder: Path) -> None:
    path = os.fsdecode(b"\xff.jpg")
    (folder / "pairs.jsonl").write_text(json.dumps(labelled("x.jpg", path, judge="\ud800")) + "\n")
    run(folder)
    (line,) = quarantined(folder.parent / "data")
    assert line["field"] == "image_b"
    assert line["detail"].startswith(path)


NEEDED = (
    "needs the fields of one of: prompt, chosen, rejected; prompt, image_a, image_b, label; prompt, image, liked; "
    "prompt, image, label"
)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pairs.csv", "prompt,left,right\np,x.jpg,y.jpg\n", f"{NEEDED}; found left, prompt, right"),
        ("pairs.csv", "", "has no rows"),
        ("pairs.csv", "prompt,chosen,rejected\n", "has no rows"),
        ("pairs.csv", "prompt,chosen,rejected\n" + "x" * (2 << 20), "line 2: not readable as CSV"),
        ("pairs.jsonl", "\n\n", "has no rows"),
        ("pairs.jsonl", '{"text": "p"}\n', f"{NEEDED}; found text"),
        ("pairs.jsonl", "not json\n", f"{NEEDED}; found none"),
    ],
)
def test_tables_without_the_fields(folder: Path, name: str, text: str, message: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=f"{name}: {message}") as caught:
        run(folder)
    assert "\n" not in str(caught.value)
    assert not (folder.parent / "data").exists()


def test_which_table(folder: Path) -> None:
    with pytest.raises(UserError, match=r"in: nothing in it looks like pickapic, .* or d3po; name one with --format"):
        run(folder)
    with pytest.raises(UserError, match=r"needs one \*\.jsonl or \*\.csv, found none"):
        run(folder, format="folder")
    write_jsonl(folder, [labelled("x.jpg", "y.jpg")])
    (folder / "other.csv").write_text("prompt,chosen,rejected\np,y.jpg,x.jpg\n")
    with pytest.raises(UserError, match=r"found other\.csv, pairs\.jsonl; name the table"):
        run(folder)
    import_data(str(folder / "other.csv"), folder.parent / "data")
    assert read_comparisons(folder.parent / "data")[0].source == "other.csv"
    (folder / "more.parquet").touch()
    with pytest.raises(UserError, match="may be pickapic or folder; say which with --format"):
        run(folder)
    with pytest.raises(UserError, match="in: --split means nothing here; leave it out"):
        run(folder, format="folder", split="train")


def test_a_changed_image_is_noticed(folder: Path) -> None:
    write_jsonl(folder, [labelled("x.jpg", "y.jpg")])
    first = run(folder)
    assert run(folder) == first
    (folder / "x.jpg").write_bytes(jpeg(77))
    with pytest.raises(UserError, match="holds the output of other inputs or settings"):
        run(folder)


def test_real_images_in_the_order_people_gave_them(shared_data: Path, tmp_path: Path) -> None:
    """ImageReward's four sample images, best first, give six pairs."""
    source = shared_data / "imagereward"
    root = tmp_path / "in"
    root.mkdir()
    for number in range(1, 5):
        (root / f"{number}.webp").write_bytes((source / f"{number}.webp").read_bytes())
    prompt = "a painting of an ocean with clouds and birds, day time, low depth field effect"
    pairs = list(itertools.combinations(range(1, 5), 2))
    write_jsonl(root, [{"prompt": prompt, "chosen": f"{a}.webp", "rejected": f"{b}.webp"} for a, b in pairs])
    summary = run(root)
    assert (summary["pairs"], summary["images"], summary["quarantined"], summary["notes"]) == (6, 4, 0, {})
    store = ImageStore(tmp_path / "data")
    for (best, other), found in zip(pairs, read_comparisons(tmp_path / "data"), strict=True):
        assert found.label == "a"
        assert store.read(found.image_a) == (source / f"{best}.webp").read_bytes()
        assert store.read(found.image_b) == (source / f"{other}.webp").read_bytes()
