"""What the import keeps, refuses and counts, and how it treats what is already there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from support.pictures import contents, jpeg, quarantined, reasons, row, truncated, write_pickapic
from tastemaker.base.errors import UserError
from tastemaker.base.files import locked, sha256_bytes
from tastemaker.data import intake, store
from tastemaker.data.importing import import_data
from tastemaker.data.readers import pickapic
from tastemaker.data.store import ImageStore, read_comparisons

X, Y, Z = jpeg(1), jpeg(2), jpeg(3)


def run(tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    source = write_pickapic(tmp_path / "in.parquet", rows)
    return import_data(str(source), tmp_path / "data", **options)


def test_repeats_confirmations_and_contradictions(tmp_path: Path) -> None:
    rows = [
        row("cat", X, Y, 1.0),  # 0: kept
        row("cat", X, Y, 1.0),  # 1: the same again
        row("cat", Y, X, 0.0),  # 2: the same again, swapped
        row("cat", X, Y, 1.0, user_id=2),  # 3: confirmed by another judge
        row("cat", Y, X, 1.0),  # 4: the same judge takes it back
        row("cat", X, Y, 0.5, user_id=3),  # 5: a tie is another verdict, not a contradiction
        row("cat", Y, X, 0.5, user_id=3),  # 6: and can repeat, too
        row("dog", X, Y, 0.0),  # 7: another prompt, another question
        row("cat", X, Z, 0.0),  # 8: another image, another question
        row("cat", X, Y, 0.0, user_id=2),  # 9: confirms 4 and contradicts 0
    ]
    summary = run(tmp_path, rows)
    assert reasons(tmp_path / "data") == [(1, "repeat"), (2, "repeat_swapped"), (6, "repeat_swapped")]
    assert quarantined(tmp_path / "data")[1]["detail"] == "in.parquet:0 says the same, images in the other order"
    assert (summary["confirmed"], summary["contradicted"]) == (2, 2)
    assert (summary["rows"], summary["pairs"], summary["quarantined"], summary["ties"]) == (10, 7, 3, 1)
    assert [c.label for c in read_comparisons(tmp_path / "data")] == ["a", "a", "a", "tie", "b", "b", "b"]


def test_every_problem_of_a_row_is_written_down(tmp_path: Path) -> None:
    summary = run(tmp_path, [row(" ", truncated(), b"junk", 1.3), row("p", truncated(), X), row("p", X, Y)])
    assert reasons(tmp_path / "data") == [
        (0, "prompt_empty"),
        (0, "image_damaged"),
        (0, "image_unknown_format"),
        (0, "label_unknown"),
        (1, "image_damaged"),
    ]
    assert {line["field"] for line in quarantined(tmp_path / "data")} == {"prompt", "jpg_0", "jpg_1", "label_0"}
    assert (summary["quarantined"], summary["quarantine"]["image_damaged"], summary["images"]) == (2, 2, 2)


def test_a_known_bad_image_is_refused_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WINDOW_ROWS", 1)
    looked: list[bytes] = []
    inspect = intake.inspect
    monkeypatch.setattr(intake, "inspect", lambda image: looked.append(image) or inspect(image))
    run(tmp_path, [row("p", truncated(), X), row("q", X, truncated()), row("r", X, Y), row("s", Y, X)])
    assert reasons(tmp_path / "data") == [(0, "image_damaged"), (1, "image_damaged")]
    assert looked.count(truncated()) == 1
    assert looked.count(Y) == 1
    assert len(ImageStore(tmp_path / "data")) == 2


def test_images_of_refused_rows_are_not_kept(tmp_path: Path) -> None:
    run(tmp_path, [row("", X, Y), row("p", Y, Z)])
    assert set(ImageStore(tmp_path / "data").shas) == {sha256_bytes(Y), sha256_bytes(Z)}


def test_the_same_image_twice(tmp_path: Path) -> None:
    run(tmp_path, [row("p", X, X), row("p", truncated(), truncated())])
    assert reasons(tmp_path / "data") == [(0, "same_image"), *[(1, "image_damaged")] * 2, (1, "same_image")]
    assert read_comparisons(tmp_path / "data") == []


def test_prompts(tmp_path: Path) -> None:
    good = ["👩‍👩‍👧 🐈", "\u202eשלום\u202c עולם", "tab\tand\nline", "x" * 10_000, " spaces ", "e\u0301", "\u200d"]
    bad = {
        "nul\0": "prompt_control_characters",
        "bell\a": "prompt_control_characters",
        "del\x7f": "prompt_control_characters",
        "c1\x85": "prompt_control_characters",
        "": "prompt_empty",
        " \n\t": "prompt_empty",
        "x" * 100_001: "prompt_too_long",
    }
    summary = run(tmp_path, [row(prompt, X, Y) for prompt in [*good, *bad]])
    assert [c.prompt for c in read_comparisons(tmp_path / "data")] == good
    assert [reason for _, reason in reasons(tmp_path / "data")] == list(bad.values())
    assert summary["notes"] == {"long_prompt": 1}
    assert quarantined(tmp_path / "data")[0]["detail"] == "U+0000"


def test_limit(tmp_path: Path) -> None:
    rows = [row(f"p{i}", X, Y) for i in range(5)]
    rows[1]["has_label"] = False
    summary = run(tmp_path, rows, limit=3)
    assert (summary["rows"], summary["pairs"], summary["quarantined"]) == (3, 2, 1)
    with pytest.raises(UserError, match="other inputs or settings"):
        run(tmp_path, rows)
    with pytest.raises(UserError, match="--limit 0: at least one row"):
        run(tmp_path, rows, limit=0)
    assert import_data(str(tmp_path / "in.parquet"), tmp_path / "all", limit=99)["rows"] == 5


def test_windows_and_shards_change_nothing_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(f"p{i % 4}", jpeg(i % 11), jpeg(100 + i % 5), i % 2, user_id=i % 3) for i in range(40)]
    run(tmp_path, rows)
    monkeypatch.setattr(intake, "WINDOW_ROWS", 3)
    monkeypatch.setattr(store, "SHARD_IMAGES", 4)
    monkeypatch.setattr(store, "GROUP_IMAGES", 2)
    import_data(str(tmp_path / "in.parquet"), tmp_path / "small")
    assert read_comparisons(tmp_path / "small") == read_comparisons(tmp_path / "data")
    assert (tmp_path / "small" / "quarantine.jsonl").read_bytes() == (
        tmp_path / "data" / "quarantine.jsonl"
    ).read_bytes()
    assert len(list((tmp_path / "small" / "images").iterdir())) > 1
    assert list(ImageStore(tmp_path / "small").shas) == list(ImageStore(tmp_path / "data").shas)


def test_twice_is_once(tmp_path: Path) -> None:
    first = run(tmp_path, [row("p", X, Y)])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*") if path.name != ".lock"}
    assert import_data(str(tmp_path / "in.parquet"), tmp_path / "data") == first
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert import_data(str(tmp_path / "in.parquet"), tmp_path / "other")["pairs"] == 1
    assert contents(tmp_path / "data") == contents(tmp_path / "other")


def test_folders_with_something_else_in_them(tmp_path: Path) -> None:
    run(tmp_path, [row("p", X, Y)])
    kept = contents(tmp_path / "data")
    shutil.copy(write_pickapic(tmp_path / "other.parquet", [row("q", X, Y)]), tmp_path / "other.parquet.bak")
    with pytest.raises(UserError, match=r"data: holds the output of other inputs or settings; choose another --out"):
        import_data(str(tmp_path / "other.parquet"), tmp_path / "data")
    (tmp_path / "data" / "summary.json").unlink()
    with pytest.raises(UserError, match=r"data: holds data without a summary\.json"):
        import_data(str(tmp_path / "other.parquet"), tmp_path / "data")
    assert contents(tmp_path / "data") == kept


def test_an_unfinished_import_of_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WINDOW_ROWS", 1)
    monkeypatch.setattr(store, "SHARD_IMAGES", 2)
    rows = [row(f"p{i}", jpeg(i), jpeg(50 + i)) for i in range(4)]

    def break_off(*_: Any) -> None:
        raise UserError("in.parquet: damaged after row 2")

    with monkeypatch.context() as patch:
        patch.setattr(pickapic, "text_cell", lambda cell, _: break_off() if cell == b"p2" else cell.decode())
        with pytest.raises(UserError, match="damaged after row 2"):
            run(tmp_path, rows)
    assert not (tmp_path / "data" / "summary.json").exists()
    with pytest.raises(UserError, match="holds an unfinished import of other inputs"):
        import_data(str(write_pickapic(tmp_path / "other.parquet", rows[:1])), tmp_path / "data")
    read: list[bytes] = []
    prompt = pickapic.text_cell
    monkeypatch.setattr(pickapic, "text_cell", lambda *cell: read.append(cell[0]) or prompt(*cell))
    assert run(tmp_path, rows)["pairs"] == 4
    assert read == [b"p2", b"p3"], "what was done is not read again"


def test_a_damaged_journal(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".import.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match=r"\.import\.sqlite: damaged .*remove .*data and import again"):
        run(tmp_path, [row("p", X, Y)])


def test_two_imports_into_one_folder(tmp_path: Path) -> None:
    with locked(tmp_path / "data"), pytest.raises(UserError, match="another process is working here"):
        run(tmp_path, [row("p", X, Y)])


def test_out_inside_the_source(tmp_path: Path) -> None:
    write_pickapic(tmp_path / "in" / "a.parquet", [row("p", X, Y)])
    with pytest.raises(UserError, match=r"in/data: lies in the source .*; choose a folder beside it"):
        import_data(str(tmp_path / "in"), tmp_path / "in" / "data")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    source = write_pickapic(tmp_path / "in.parquet", [row(f"p{i}", jpeg(i), jpeg(50 + i)) for i in range(40)])
    monkeypatch.setattr(store.pq.ParquetWriter, "write_table", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); free some space"):
        import_data(str(source), tmp_path / "data")
    monkeypatch.undo()
    assert import_data(str(source), tmp_path / "data")["pairs"] == 40
