"""A hub id as the source: only what is read is downloaded, at a pinned commit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from support.pictures import jpeg, row, write_pickapic
from tastemaker.base.errors import UserError
from tastemaker.data.importing import import_data
from tastemaker.data.readers.hub import hub_shards
from tastemaker.data.store import read_comparisons


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A pretended hub with the data set `people/pairs`; yields the names of the files downloaded."""
    names = [f"data/{split}-{i:05d}-of-00002.parquet" for split in ("train", "test") for i in range(2)]
    for number, name in enumerate(names):
        rows = [row(f"{name} {i}", jpeg(number), jpeg(50 + i)) for i in range(3)]
        write_pickapic(tmp_path / "hub" / name, rows)
    downloaded: list[str] = []

    def info(self: object, repo: str, revision: str | None = None) -> Any:
        if repo != "people/pairs":
            raise OSError(f"404 Client Error.\n\nRepository {repo} not found")
        files = ["README.md", *reversed(names)]
        return SimpleNamespace(
            sha=f"commit-of-{revision}", siblings=[SimpleNamespace(rfilename=name) for name in files]
        )

    def download(repo: str, file: str, repo_type: str, revision: str) -> str:
        assert (repo, repo_type) == ("people/pairs", "dataset")
        assert revision.startswith("commit-of-")
        downloaded.append(file)
        return str(tmp_path / "hub" / file)

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return downloaded


def test_files_are_downloaded_as_they_are_read(hub: list[str], tmp_path: Path) -> None:
    summary = import_data("people/pairs", tmp_path / "data", split="train", limit=2)
    assert hub == ["data/train-00000-of-00002.parquet"]
    assert (summary["rows"], summary["pairs"], summary["source"]) == (2, 2, "people/pairs")
    assert read_comparisons(tmp_path / "data")[1].prompt == "data/train-00000-of-00002.parquet 1"
    import_data("people/pairs", tmp_path / "all", split="train")
    assert len(read_comparisons(tmp_path / "all")) == 6
    assert hub[1:] == ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]


def test_finished_imports_download_nothing(hub: list[str], tmp_path: Path) -> None:
    first = import_data("people/pairs", tmp_path / "data", split="test")
    hub.clear()
    assert import_data("people/pairs", tmp_path / "data", split="test") == first
    assert hub == []
    with pytest.raises(UserError, match="other inputs"):
        import_data("people/pairs@v2", tmp_path / "data", split="test")


def test_what_is_not_there(hub: list[str], tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^people/other: no such file or folder, and the hub does not give it \(404 "
    ) as caught:
        import_data("people/other", tmp_path / "data")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="holds the splits test, train"):
        import_data("people/pairs", tmp_path / "data")
    with pytest.raises(
        UserError,
        match=r"a/b/c: no such file or folder; give a file, a folder or a hub id",
    ):
        import_data("a/b/c", tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.network
def test_the_real_hub() -> None:
    shards = hub_shards("yuvalkirstain/pickapic_v2")
    assert [shard for shard in shards if shard.name.startswith("data/train-")]
    assert len(shards[0].identity) == 40
