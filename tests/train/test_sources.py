"""Training on several folders of ranked pairs, of pairs and of single images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from support.training import make_task, recipe_of
from tastemaker.base.errors import UserError
from tastemaker.rank.pairs import NAME
from tastemaker.train.training import train


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A task whose ten pairs stand in two folders, ``first`` the three best."""
    folder = tmp_path_factory.mktemp("task")
    tree = make_task(folder)
    table = pq.read_table(folder / "ranked" / NAME)
    for name, part in (("first", table[:3]), ("rest", table[3:])):
        (folder / name).mkdir()
        pq.write_table(part, folder / name / NAME)
    return tree | {"data": tree["data"] | {"pairs": sources(folder, first=2, rest=1)}}


def sources(folder: Path, **weights: float) -> list[dict[str, Any]]:
    return [{"pairs": str(folder / name), "weight": weight} for name, weight in weights.items()]


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_two_folders_train_and_a_weight_changes_the_run(tree: dict[str, Any], tmp_path: Path) -> None:
    summary = train(recipe_of(tree, tmp_path / "run"))
    assert summary["pairs_seen"] == 20
    assert train(recipe_of(tree, tmp_path / "run")) == summary, "a finished run is recognised"
    folder = Path(tree["data"]["pairs"][0]["pairs"]).parent
    other = tree | {"data": tree["data"] | {"pairs": sources(folder, first=1, rest=1)}}
    train(recipe_of(other, tmp_path / "other"))
    assert metrics(tmp_path / "other") != metrics(tmp_path / "run")
    with pytest.raises(UserError, match="holds the output of other inputs or settings"):
        train(recipe_of(other, tmp_path / "run"))


def test_a_missing_folder_is_named_with_its_command(tree: dict[str, Any], tmp_path: Path) -> None:
    folders = [*tree["data"]["pairs"], {"pairs": "nowhere"}]
    with pytest.raises(UserError, match=r"nowhere/pairs\.parquet: no such file; make it with: tastemaker rank"):
        train(recipe_of(tree | {"data": tree["data"] | {"pairs": folders}}, tmp_path / "run"))
