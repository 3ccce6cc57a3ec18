"""ImageReward: the repository's rankings, and ImageRewardDB's rows of single images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.pictures import jpeg, quarantined
from tastemaker.base.errors import UserError
from tastemaker.data.importing import import_data
from tastemaker.data.readers import open_source
from tastemaker.data.readers.row import Place, Row
from tastemaker.data.store import read_comparisons

A, B, C = jpeg(1), jpeg(2), jpeg(3)
IMAGES = {"a": A, "b": B, "c": C}
PATHS = [f"part/{name}.webp" for name in IMAGES]
FILES = dict(zip(PATHS, IMAGES.values(), strict=True))
ITEM = {"id": "7", "prompt": "cat", "generations": PATHS, "ranking": [2, 1, 2]}
PAIRS = [("cat", "ab", "b", None, None), ("cat", "ac", "tie", None, None), ("cat", "bc", "a", None, None)]
FOLDER = "images/train/train_1"
ROWS = [
    {"image_path": f"{FOLDER}/{name}.webp", "prompt_id": "1-1", "prompt": "cat", "rank": rank, "overall_rating": 5}
    for name, rank in (("a", 2), ("b", 1), ("c", 2))
]
POOL = {f"{FOLDER}/{name}.webp": image for name, image in IMAGES.items()}

Said = Callable[..., list[tuple[Any, ...]]]


def columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def wrong(data: Path) -> list[tuple[int, str]]:
    return [(line["row"], line["reason"]) for line in quarantined(data)]


def test_the_repositorys_test_set(shared_data: Path, tmp_path: Path) -> None:
    """466 prompts, 2,720 images, 7,230 pairs of which 831 ties; the images are not there, so every pair says so."""
    path = shared_data / "imagereward" / "test.json"
    source = open_source(str(path))
    rows = list(source.read(Place(0, 0)))
    assert (source.format, source.rows, len(rows)) == ("imagereward", 7230, 7230)
    assert all(isinstance(row, Row) and row.share is None for row in rows)
    labels = Counter(row.label for row in rows if isinstance(row, Row))
    assert (labels["tie"], labels["a"] + labels["b"]) == (831, 6399)
    assert (len({row.place.row for row in rows}), len({row.place for row in rows})) == (466, 7230)
    sides = {(row.place.row, side.field) for row in rows if isinstance(row, Row) for side in row.sides}
    assert len(sides) == 2720
    place = rows[4321].place
    assert [row.place for row in source.read(place.after)] == [row.place for row in rows[4322:]]
    summary = import_data(str(path), tmp_path / "data")
    assert (summary["rows"], summary["pairs"], summary["quarantined"]) == (7230, 0, 7230)
    assert summary["quarantine"] == {"image_missing": 2 * 7230}


def test_a_ranking(put: Any, said: Said, resumes: Any) -> None:
    source = put({"test.json": [ITEM], **FILES})
    assert said(source, IMAGES) == PAIRS
    assert resumes(source) == resumes(source / "test.json") == 3


def test_metadata_in_parquet(put: Any, said: Said, resumes: Any, parquet: Any) -> None:
    """The rows of a prompt need not stand together; its pairs stand where its first row does."""
    other = [
        {**row, "prompt_id": "2", "prompt": "dog", "rank": rank} for row, rank in zip(ROWS, (1, 1, 3), strict=True)
    ]
    rows = [ROWS[0], other[0], ROWS[1], other[2], ROWS[2]]
    source = put({"metadata-train.parquet": parquet(columns(rows)), **POOL})
    assert said(source, IMAGES) == [*PAIRS, ("dog", "ac", "a", None, None)]
    assert {one.source for one in read_comparisons(source.parent / "data")} == {"metadata-train.parquet"}
    assert resumes(source) == resumes(source / "metadata-train.parquet") == 4


def test_lists_beside_the_images(put: Any, said: Said, resumes: Any) -> None:
    """Without the metadata; wherever the paths in the list begin."""
    source = put({f"{FOLDER}/train_1.json": [{**row, "image_path": row["image_path"][13:]} for row in ROWS], **POOL})
    assert said(source, IMAGES) == PAIRS
    assert {one.source for one in read_comparisons(source.parent / "data")} == {f"{FOLDER}/train_1.json"}
    assert resumes(source) == resumes(source / FOLDER / "train_1.json") == 3


def test_splits(put: Any, said: Said, parquet: Any, tmp_path: Path) -> None:
    """The metadata goes before the lists, which say the same again."""
    lists = {f"images/{name}/{name}_1/{name}_1.json": ROWS for name in ("train", "test")}
    with pytest.raises(UserError, match="holds the splits test, train; say which"):
        import_data(str(put({**lists, **POOL})), tmp_path / "data")
    put({"train.json": ROWS})
    tables = {f"metadata-{name}.parquet": parquet(columns(ROWS)) for name in ("train", "validation")}
    source = put(tables)
    with pytest.raises(UserError, match="holds the splits train, validation; say which"):
        import_data(str(source), tmp_path / "data")
    assert said(source, IMAGES, split="train") == PAIRS
    assert open_source(str(source), split="train").rows == len(PAIRS)


def test_what_is_wrong_with_rankings(put: Any, said: Said, resumes: Any) -> None:
    rows = [
        {**ITEM, "ranking": [1, 2]},
        {**ITEM, "generations": PATHS[:1], "ranking": [1]},
        {**ITEM, "ranking": [1, True, None]},
        {"prompt": "cat"},
        [1],
        {**ITEM, "generations": [PATHS[0], "../x.webp", [3]]},
        ITEM,
    ]
    source = put({"test.json": rows, "x.webp": A, **FILES})
    assert said(source, IMAGES) == PAIRS
    assert wrong(source.parent / "data") == [
        (0, "row_columns"),
        (1, "unlabelled"),
        (2, "label_unknown"),
        (2, "unlabelled"),
        (2, "label_unknown"),
        (3, "row_columns"),
        (4, "row_not_json"),
        (5, "image_outside_folder"),
        (5, "image_missing"),
        (5, "image_outside_folder"),
        (5, "image_missing"),
    ]
    assert resumes(source) == 13


def test_what_is_wrong_with_single_images(put: Any, said: Said, resumes: Any) -> None:
    lone = {**ROWS[0], "prompt_id": "lone"}
    twice = [{**ROWS[0], "prompt_id": "t", "prompt": prompt} for prompt in ("one", "two")]
    source = put({"test.json": [lone, {"prompt_id": 3}, *twice, "text", *ROWS], **POOL})
    assert said(source, IMAGES) == PAIRS
    assert wrong(source.parent / "data") == [
        (0, "unlabelled"),
        (1, "row_columns"),
        (2, "prompt_ambiguous"),
        (4, "row_not_json"),
    ]
    assert resumes(source) == 7


def test_what_is_no_imagereward(put: Any, tmp_path: Path, parquet: Any) -> None:
    source = put({"test.json": [{"prompt": "p"}]})
    with pytest.raises(UserError, match="no table with generations, prompt, ranking or image_path, prompt_id"):
        import_data(str(source), tmp_path / "data", format="imagereward")
    whole = parquet(columns(ROWS * 500))
    path = put({"metadata-train.parquet": whole[:4] + bytes(60) + whole[64:]}) / "metadata-train.parquet"
    with pytest.raises(UserError, match=r"metadata-train\.parquet: damaged .*download it again"):
        import_data(str(path), tmp_path / "data")
