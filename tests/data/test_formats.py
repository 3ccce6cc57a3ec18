"""Which reader a source gets, and what is said where that is not clear."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from support.pictures import jpeg, row, write_pickapic
from tastemaker.base.errors import UserError
from tastemaker.cli.import_ import run
from tastemaker.data import readers
from tastemaker.data.readers import KINDS, ON_HUB, open_source, reader

X, Y = jpeg(1), jpeg(2)
PAIR = {"w/x.jpg": X, "l/x.jpg": Y}
HPDV2 = [{"prompt": "p", "file_path": ["a.jpg", "b.jpg"], "human_preference": [1, 0]}]
HPDV3 = [{"prompt": "p", "path1": "a.jpg", "path2": "b.jpg"}]
RANKED = [{"prompt": "p", "generations": ["a", "b"], "ranking": [1, 2]}]
TABLE = [{"prompt": "p", "chosen": "a.jpg", "rejected": "b.jpg"}]
SAMPLES: dict[str, dict[str, Any]] = {
    "folder": {"pairs.jsonl": TABLE},
    "verdicts": {"liked/x.jpg": X},
    "winlose": PAIR,
    "hpdv2": {"train.json": HPDV2},
    "hpdv3": {"all.json": HPDV3, "benchmark/benchmark_Arts.json": ["prompt"]},
    "imagereward": {"test.json": RANKED},
    "d3po": {"prompt.json": ["p"], "images/00000.png": X, "me.json": [[1, 0]]},
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_folder_is_recognised(put: Any, kind: str) -> None:
    source = put({"README.md": "about", **SAMPLES[kind]})
    assert open_source(str(source)).format == kind
    assert [one for one in KINDS if reader(one).claims(source)] == [kind]


@pytest.mark.parametrize("kind", ["folder", "hpdv2", "hpdv3", "imagereward"])
def test_a_file_is_recognised(put: Any, kind: str) -> None:
    assert open_source(str(put(SAMPLES[kind]) / next(iter(SAMPLES[kind])))).format == kind


def test_parquet_is_recognised_by_its_columns(put: Any, parquet: Any, tmp_path: Path) -> None:
    votes = {"prompt": ["p"], "image1": [X], "image2": [Y], "votes_image1": [1], "votes_image2": [0]}
    ranked = {"image_path": ["a", "b"], "prompt_id": ["1", "1"], "prompt": ["p", "p"], "rank": [1, 2]}
    for kind, columns in (("rapidata", votes), ("imagereward", ranked)):
        path = put({f"{kind}.parquet": parquet(columns)}) / f"{kind}.parquet"
        assert open_source(str(path)).format == kind
    assert open_source(str(write_pickapic(tmp_path / "pick.parquet", [row("p", X, Y)]))).format == "pickapic"


def test_every_kind_is_a_reader_and_the_other_way_round() -> None:
    folder = Path(readers.__file__).parent
    defining = {
        path.stem
        for path in folder.glob("*.py")
        if {"claims", "open_path"} <= {getattr(node, "name", "") for node in ast.parse(path.read_text()).body}
    }
    assert defining == set(KINDS)
    assert {kind for kind in KINDS if hasattr(reader(kind), "open_hub")} == set(ON_HUB)


def test_what_may_be_two_things(put: Any, tmp_path: Path) -> None:
    source = put({**PAIR, "liked/x.jpg": X})
    with pytest.raises(UserError, match="in: may be verdicts or winlose; say which with --format"):
        open_source(str(source))
    assert open_source(str(source), "winlose").format == "winlose"
    put({"train.json": HPDV2, "other.json": HPDV3})
    with pytest.raises(UserError, match="may be verdicts or winlose or hpdv2 or hpdv3"):
        open_source(str(source))


def test_a_table_of_comparisons_beside_folders_is_what_counts(put: Any) -> None:
    assert open_source(str(put({**PAIR, "pairs.jsonl": TABLE}))).format == "folder"


def test_what_is_nothing_known(put: Any) -> None:
    source = put({"a.txt": "x", "list.json": ["x"]})
    for path in (source, source / "list.json"):
        with pytest.raises(UserError, match=r"nothing in it looks like pickapic, .*hpdv2.* or d3po; name one"):
            open_source(str(path))


def test_a_wrong_format_says_which_there_are(put: Any) -> None:
    with pytest.raises(
        UserError, match=r"--format hpd: is none of auto, pickapic, folder, .*imagereward, rapidata, d3po"
    ):
        open_source(str(put(PAIR)), "hpd")  # type: ignore[arg-type]
    assert run.__annotations__["format"] == "Format"


def test_the_hub_gives_parquet_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tastemaker.data.readers import hub
    from tastemaker.data.readers.parquet import Shard

    shards = [Shard("data/train_0001-00000-of-00001.parquet", "commit", lambda: tmp_path)]
    monkeypatch.setattr(hub, "hub_shards", lambda _: shards)
    assert open_source("Rapidata/some_t2i_human_preference").format == "rapidata"
    assert open_source("people/pairs").format == "pickapic"
    assert open_source("people/pairs", "rapidata", question="alignment").format == "rapidata"
    with pytest.raises(UserError, match="--format hpdv2 reads files and folders; download it and name its folder"):
        open_source("people/pairs", "hpdv2")
    with pytest.raises(UserError, match="--question means nothing here"):
        open_source("people/pairs", question="alignment")
