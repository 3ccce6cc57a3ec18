"""HPDv2 and HPDv3: what each list says, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.pictures import contents, jpeg, quarantined
from tastemaker.base.errors import UserError
from tastemaker.data import intake, store
from tastemaker.data.importing import import_data
from tastemaker.data.readers import listed
from tastemaker.data.store import read_comparisons

A, B, C = jpeg(1), jpeg(2), jpeg(3)
IMAGES = {"a": A, "b": B, "c": C}
FILES = {f"train/{name}.jpg": image for name, image in IMAGES.items()}
TESTED = {f"test/{name}.jpg": image for name, image in IMAGES.items()}
PATHS = ["a.jpg", "b.jpg", "c.jpg"]
TRAIN = [
    {"prompt": "cat", "file_path": ["a.jpg", "b.jpg"], "human_preference": [1, 0]},
    {"prompt": "dog", "file_path": ["a.jpg", "c.jpg"], "human_preference": [0, 1]},
]
PEOPLE = [{"rank": [0, 1, 2], "user_hash": "x"}, {"rank": [0, 2, 1], "user_hash": "y"}, {"rank": [1, 0, 0]}]
V3 = {"prompt": "cat", "path1": "train/a.jpg", "path2": "train/b.jpg"}

Said = Callable[..., list[tuple[Any, ...]]]


def wrong(data: Path) -> list[tuple[int, str, str]]:
    return [(line["row"], line["field"], line["reason"]) for line in quarantined(data)]


def test_pairs(put: Any, said: Said, resumes: Any) -> None:
    source = put({"train.json": TRAIN, **FILES})
    assert said(source, IMAGES) == [("cat", "ab", "a", None, None), ("dog", "ac", "b", None, None)]
    assert resumes(source) == resumes(source / "train.json") == 2


def test_rankings_by_rank(put: Any, said: Said, resumes: Any) -> None:
    """Lower is better, and equal ones tie: a < b = c."""
    source = put({"test.json": [{"prompt": "cat", "image_path": PATHS, "rank": [0, 1, 1]}], **TESTED})
    expected = [("cat", "ab", "a", None, None), ("cat", "ac", "a", None, None), ("cat", "bc", "tie", None, None)]
    assert said(source, IMAGES) == expected
    assert resumes(source) == 3


def test_rankings_by_what_each_person_said(put: Any, said: Said) -> None:
    """Ranks 0 1 2, 0 2 1 and 1 0 0: a beats b for two of three, and c for two; b beats c for one and a half."""
    item = {"prompt": "cat", "image_path": PATHS, "rank": [2, 1, 0], "raw_annotations": PEOPLE}
    share = round(2 / 3 * 2**24) / 2**24
    assert said(put({"test.json": [item], **TESTED}), IMAGES) == [
        ("cat", "ab", "a", share, 3),
        ("cat", "ac", "a", share, 3),
        ("cat", "bc", "tie", 0.5, 3),
    ]


def test_a_list_is_a_split(put: Any, said: Said, tmp_path: Path) -> None:
    item = {"prompt": "cow", "image_path": PATHS[:2], "rank": [1, 0]}
    source = put({"train.json": TRAIN, "test.json": [item], **FILES, **TESTED})
    with pytest.raises(UserError, match="holds the splits test, train; say which with --split"):
        import_data(str(source), tmp_path / "data")
    assert said(source, IMAGES, split="test") == [("cow", "ab", "b", None, None)]


def test_images_where_the_path_says(put: Any, said: Said) -> None:
    """A path that names the folder is taken as it is, and one that leaves the source is not tried elsewhere."""
    paths = [
        {**TRAIN[0], "file_path": ["train/a.jpg", "../b.jpg"]},
        {**TRAIN[0], "file_path": ["train/a.jpg", "b.jpg"]},
    ]
    source = put({"train.json": paths, "train/train/x": b"", "b.jpg": C, **FILES})
    assert said(source, IMAGES) == [("cat", "ac", "a", None, None)]
    assert wrong(source.parent / "data") == [(0, "file_path[1]", "image_outside_folder")]


def test_what_is_wrong_with_rows_of_hpdv2(put: Any, said: Said, resumes: Any) -> None:
    ranked = {"prompt": "cat", "image_path": PATHS, "rank": [0, 1, 2]}
    rows = [
        TRAIN[0],
        {**TRAIN[0], "human_preference": [1, 1]},
        {**TRAIN[0], "human_preference": ["1", 0]},
        {**TRAIN[0], "human_preference": [1]},
        {**TRAIN[0], "file_path": PATHS, "human_preference": [1, 0, 0]},
        {**TRAIN[0], "file_path": ["a.jpg", None]},
        {**TRAIN[0], "prompt": 3},
        "no object",
        {"prompt": "cat"},
        {**ranked, "rank": [0, None, "2"]},
        {**ranked, "rank": [0, 1]},
        {**ranked, "image_path": PATHS[:1], "rank": [0]},
        {**ranked, "raw_annotations": [PEOPLE[0], {"rank": [0, 1]}]},
        {**ranked, "raw_annotations": "none"},
        {**ranked, "prompt": "new", "image_path": ["a.jpg", "gone.jpg", "b.jpg"]},
    ]
    source = put({"train.json": rows, **FILES})
    kept = said(source, IMAGES)
    assert kept == [("cat", "ab", "a", None, None), ("new", "ab", "a", None, None)]
    assert wrong(source.parent / "data") == [
        (1, "human_preference", "label_unknown"),
        (2, "human_preference", "label_unknown"),
        (3, "", "row_columns"),
        (4, "file_path", "row_columns"),
        (5, "file_path[1]", "image_missing"),
        (6, "prompt", "prompt_missing"),
        (7, "", "row_not_json"),
        (8, "", "row_columns"),
        (9, "rank", "unlabelled"),
        (9, "rank", "label_unknown"),
        (9, "rank", "unlabelled"),
        (10, "", "row_columns"),
        (11, "", "unlabelled"),
        (12, "raw_annotations[1]", "label_unknown"),
        (13, "raw_annotations", "label_unknown"),
        (14, "image_path[1]", "image_missing"),
        (14, "image_path[1]", "image_missing"),
    ]
    assert resumes(source) == 19


def test_what_is_no_hpdv2(put: Any, tmp_path: Path) -> None:
    source = put({"train.json": [{"prompt": "p"}]})
    with pytest.raises(UserError, match=r"no .*json with prompt, file_path, human_preference or prompt, image_path"):
        import_data(str(source), tmp_path / "data", format="hpdv2")
    (source / "train.json").write_text('[{"prompt": ')
    with pytest.raises(UserError, match=r"train\.json: item 0: not readable as JSON"):
        import_data(str(source / "train.json"), tmp_path / "data")
    with pytest.raises(UserError, match=r"train\.json: --question means nothing here"):
        import_data(str(source / "train.json"), tmp_path / "data", format="hpdv2", question="alignment")


@pytest.mark.parametrize("name", ["train.json", "all.jsonl"])
def test_hpdv3(put: Any, said: Said, resumes: Any, name: str) -> None:
    """The larger part of `choice_dist` is the first image's; `confidence` says nothing of the preference."""
    rows = [
        {**V3, "confidence": 0.99, "choice_dist": [3, 1], "model1": "sdxl", "model2": "flux"},
        {**V3, "prompt": "dog", "choice_dist": [1, 3]},
        {**V3, "prompt": "cow", "confidence": 0.6},
        {**V3, "prompt": "owl", "choice_dist": [0.75, 0.25]},
        {**V3, "prompt": "fox", "choice_dist": [2, 2]},
        {**V3, "prompt": "ant", "choice_dist": [1.0, 0.0]},
    ]
    source = put({name: rows, **FILES})
    assert said(source, IMAGES) == [
        ("cat", "ab", "a", 0.75, 4),
        ("dog", "ab", "a", 0.75, 4),
        ("cow", "ab", "a", None, None),
        ("owl", "ab", "a", 0.75, None),
        ("fox", "ab", "tie", 0.5, 4),
        ("ant", "ab", "a", 1.0, None),
    ]
    first, *_ = read_comparisons(source.parent / "data")
    assert (first.model_a, first.model_b, first.source) == ("sdxl", "flux", name)
    assert resumes(source) == 6


def test_what_is_wrong_with_rows_of_hpdv3(put: Any, said: Said) -> None:
    rows = [
        {**V3, "choice_dist": [3]},
        {**V3, "choice_dist": [3, -1]},
        {**V3, "choice_dist": [0, 0]},
        {"prompt": "p"},
        {**V3, "path2": "/etc/hostname"},
        V3,
    ]
    source = put({"train.json": rows, **FILES})
    assert said(source, IMAGES) == [("cat", "ab", "a", None, None)]
    assert wrong(source.parent / "data") == [
        (0, "choice_dist", "label_unknown"),
        (1, "choice_dist", "label_unknown"),
        (2, "choice_dist", "unlabelled"),
        (3, "", "row_columns"),
        (4, "path2", "image_outside_folder"),
    ]


def test_the_pairs_of_a_ranking_have_ids_of_their_own(put: Any, said: Said) -> None:
    """Even where two paths hold the same image, so that prompt, images and row are the same."""
    paths = ["a.jpg", "b.jpg", "copy.jpg"]
    item = {"prompt": "cat", "image_path": paths, "rank": [1, 0, 2]}
    source = put({"test.json": [item], **TESTED, "test/copy.jpg": B})
    assert said(source, IMAGES) == [("cat", "ab", "b", None, None), ("cat", "ab", "a", None, None)]
    first, second = read_comparisons(source.parent / "data")
    assert first.pair_id != second.pair_id
    assert wrong(source.parent / "data") == [(0, "image_path[2]", "same_image")]


def test_a_stopped_import_goes_on_in_the_middle_of_a_ranking(
    put: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WINDOW_ROWS", 1)
    monkeypatch.setattr(store, "SHARD_IMAGES", 1)
    item = {"prompt": "cat", "image_path": PATHS, "rank": [0, 1, 2], "raw_annotations": PEOPLE}
    source = str(put({"test.json": [item, {**item, "prompt": "dog"}], **TESTED}))
    import_data(source, tmp_path / "whole")
    read, opened = listed.read_one_of, list[str]()

    def stop(root: Path, references: list[str], field: str) -> Any:
        opened.append(references[0])
        if opened[-1] == "c.jpg":
            raise KeyboardInterrupt
        return read(root, references, field)

    with monkeypatch.context() as patch:
        patch.setattr(listed, "read_one_of", stop)
        with pytest.raises(KeyboardInterrupt):
            import_data(source, tmp_path / "data")
    assert opened == ["a.jpg", "b.jpg", "c.jpg"]
    import_data(source, tmp_path / "data")
    assert contents(tmp_path / "data") == contents(tmp_path / "whole")
    assert [one.votes for one in read_comparisons(tmp_path / "data")] == [3] * 6


def test_a_changed_image_is_noticed(put: Any, tmp_path: Path) -> None:
    source = put({"train.json": TRAIN, **FILES})
    first = import_data(str(source), tmp_path / "data")
    assert import_data(str(source), tmp_path / "data") == first
    put({"train/a.jpg": jpeg(77)})
    with pytest.raises(UserError, match="other inputs or settings"):
        import_data(str(source), tmp_path / "data")
