"""Embeddings that are kept make a later scorer a dot product."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.noisy import noisy_data
from support.toy_scorers import Bright, Fitting, Pretty, ToyTrunk
from tastemaker.base.errors import UserError
from tastemaker.score import view
from tastemaker.score.embeddings import FOLDER, Embeddings
from tastemaker.score.runner import Settings, score_all
from tastemaker.score.scores import scores_folder

KEEP = Settings(shard_rows=8, batch_size=3, keep_embeddings=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return noisy_data(tmp_path / "data", images=12, comparisons=30, prompts=5)


def contents(data: Path, scorer: str) -> bytes:
    return (scores_folder(data, scorer) / "scores.parquet").read_bytes()


def test_a_later_scorer_decodes_nothing_and_gets_the_same_bits(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = shutil.copytree(data, tmp_path / "fresh")
    score_all(fresh, [Fitting()], Settings(shard_rows=8, batch_size=3))
    score_all(data, [Pretty()], KEEP)
    monkeypatch.setattr(view, "decode", lambda _: pytest.fail("decoded"))
    trunk = ToyTrunk(tmp_path / "log")
    score_all(data, [Fitting(trunk)], Settings(shard_rows=8, batch_size=3))
    assert (tmp_path / "log").read_text() == "prompts 5\n"
    assert contents(data, "fitting@1") == contents(fresh, "fitting@1")


def test_scorers_without_that_trunk_still_see_the_image(data: Path, tmp_path: Path) -> None:
    fresh = shutil.copytree(data, tmp_path / "fresh")
    score_all(fresh, [Bright(), Fitting()], Settings(shard_rows=8, batch_size=3))
    score_all(data, [Pretty()], KEEP)
    score_all(data, [Bright(), Fitting()], Settings(shard_rows=8, batch_size=3))
    assert contents(data, "bright@1") == contents(fresh, "bright@1")


def test_nothing_is_kept_unless_asked_for(data: Path) -> None:
    score_all(data, [Pretty()], Settings())
    assert not (data / FOLDER).exists()


def test_each_image_is_kept_once(data: Path) -> None:
    score_all(data, [Pretty()], KEEP)
    first = {path.name: path.read_bytes() for path in (data / FOLDER).rglob("*.parquet")}
    score_all(data, [Fitting()], KEEP)
    assert {path.name: path.read_bytes() for path in (data / FOLDER).rglob("*.parquet")} == first


def test_a_trunk_that_has_seen_nothing_has_nothing(data: Path) -> None:
    assert not Embeddings(data, frozenset(["toy@1"])).has("x")
    assert not Embeddings(data, frozenset()).has("x")
    assert Embeddings(data, frozenset(["toy@1"])).read("toy@1", ["x"]) == {}


def test_a_damaged_file_is_named(data: Path) -> None:
    score_all(data, [Pretty()], KEEP)
    path = next((data / FOLDER).rglob("*.parquet"))
    path.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=rf"{path.name}: damaged .* remove it"):
        score_all(data, [Fitting()], KEEP)
