"""Two folders, of the better and the worse image of each name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.pictures import jpeg, quarantined
from tastemaker.base.errors import UserError
from tastemaker.data.importing import import_data
from tastemaker.data.store import read_comparisons

IMAGES = {name: jpeg(number) for number, name in enumerate("abcdef")}
A, B, C, D, E, F = IMAGES.values()

Said = Callable[..., list[tuple[Any, ...]]]


@pytest.mark.parametrize(("won", "lost"), [("w", "l"), ("chosen", "rejected"), ("winner", "loser")])
def test_captions_beside_the_winner(put: Any, said: Said, resumes: Any, won: str, lost: str) -> None:
    """Endings need not be the same, and folders may be deep."""
    files = {f"{won}/x.jpg": A, f"{won}/x.txt": " a cat\n", f"{lost}/x.png": B, f"{lost}/x.txt": "not read"}
    deep = {f"{won}/two/y.jpg": C, f"{won}/two/y.txt": "dog", f"{lost}/two/y.jpg": D, f"{lost}/.hidden": "x"}
    source = put(files | deep)
    assert said(source, IMAGES) == [("dog", "cd", "a", None, None), ("a cat", "ab", "a", None, None)]
    assert [one.source for one in read_comparisons(source.parent / "data")] == ["two/y", "x"]
    assert resumes(source) == 2


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
@pytest.mark.parametrize("image", ["w/x.jpg", "l/x.jpg", "x.jpg"])
def test_captions_in_a_table(put: Any, said: Said, name: str, image: str) -> None:
    table = [{"file_name": image, "text": "cat"}] if name.endswith("jsonl") else f"file_name,text\n{image},cat\n"
    assert said(put({"w/x.jpg": A, "l/x.jpg": B, name: table}), IMAGES) == [("cat", "ab", "a", None, None)]


def test_what_is_wrong_with_pairs(put: Any, said: Said, resumes: Any) -> None:
    """Every pair, every caption and every line is a row: kept, or in quarantine."""
    files = {
        "w/good.jpg": A,
        "l/good.jpg": B,
        "w/alone.jpg": C,
        "w/alone.txt": "p",
        "l/lost.jpg": D,
        "w/mute.jpg": A,
        "l/mute.jpg": B,
        "w/two.jpg": A,
        "w/two.png": C,
        "w/two.txt": "p",
        "l/two.jpg": B,
        "w/text.txt": "a caption without images",
        "w/odd.jpg": A,
        "l/odd.jpg": B,
        "w/odd.txt": "one",
    }
    lines = [
        {"file_name": "w/good.jpg", "prompt": "cat"},
        {"file_name": "l/good.jpg", "prompt": "cat"},
        {"file_name": "odd.jpg", "prompt": "two"},
        {"file_name": "w/gone.jpg", "prompt": "p"},
        {"file_name": "../mute.jpg", "prompt": "p"},
        {"prompt": "p"},
        {"file_name": "w/lost.jpg", "prompt": "one"},
        {"file_name": "l/lost.jpg", "prompt": "two"},
    ]
    source = put({**files, "metadata.jsonl": lines})
    assert said(source, IMAGES) == [("cat", "ab", "a", None, None)]
    assert [(line["source"], line["field"], line["reason"]) for line in quarantined(source.parent / "data")] == [
        ("../mute", "w", "image_missing"),
        ("../mute", "l", "image_missing"),
        ("alone", "l", "image_missing"),
        ("gone", "w", "image_missing"),
        ("gone", "l", "image_missing"),
        ("lost", "prompt", "prompt_ambiguous"),
        ("lost", "w", "image_missing"),
        ("mute", "prompt", "prompt_missing"),
        ("odd", "prompt", "prompt_ambiguous"),
        ("text", "w", "image_missing"),
        ("text", "l", "image_missing"),
        ("two", "w", "image_missing"),
        ("metadata.jsonl", "file_name", "row_columns"),
    ]
    assert resumes(source) == 10


def test_links_may_not_leave_the_folder(put: Any, said: Said) -> None:
    source = put({"w/x.jpg": A, "w/x.txt": "cat", "l/y.jpg": B})
    (source.parent / "secret.jpg").write_bytes(C)
    (source / "l" / "x.jpg").symlink_to("../../secret.jpg")
    assert said(source, IMAGES) == []
    assert ("x", "image_outside_folder") in [
        (line["source"], line["reason"]) for line in quarantined(source.parent / "data")
    ]


def test_a_new_pair_leaves_the_ids_of_the_others(put: Any, tmp_path: Path) -> None:
    source = put({"w/x.jpg": A, "w/x.txt": "cat", "l/x.jpg": B})
    import_data(str(source), tmp_path / "data")
    put({"w/a.jpg": C, "w/a.txt": "new", "l/a.jpg": D})
    with pytest.raises(UserError, match="other inputs or settings"):
        import_data(str(source), tmp_path / "data")
    import_data(str(source), tmp_path / "more")
    (before,), after = read_comparisons(tmp_path / "data"), read_comparisons(tmp_path / "more")
    assert before.pair_id in {one.pair_id for one in after}
    assert len(after) == 2


def test_folders_that_cannot_be_read(put: Any, tmp_path: Path) -> None:
    source = put({"w/.keep": "", "l/.keep": ""})
    with pytest.raises(UserError, match="no images in w or l"):
        import_data(str(source), tmp_path / "data")
    with pytest.raises(
        UserError, match="needs two folders of images, w and l or chosen and rejected or winner and loser"
    ):
        import_data(str(source / "w"), tmp_path / "data", format="winlose")
    put({"metadata.csv": "file_name\n", "metadata.jsonl": []})
    with pytest.raises(UserError, match=r"holds metadata\.csv and metadata\.jsonl; keep one"):
        import_data(str(source), tmp_path / "data")
