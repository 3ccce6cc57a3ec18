"""Pairs of several shapes in one micro-batch: judged apart, added up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.training import make_task, recipe_of
from tastemaker.encode.cache import Cache
from tastemaker.rank.pairs import read_pairs
from tastemaker.train import checkpoint
from tastemaker.train.order import Micro
from tastemaker.train.shapes import alike
from tastemaker.train.training import train

WIDE = {1, 2, 5}
"""Numbers of the pairs whose latents are twice as wide as high."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("task")
    task = make_task(folder, pairs=6)
    widen(folder / "cache")
    method = {"link": {"kind": "pointwise", "beta": 200}, "credit": {"correction": {"kind": "stepwise"}}}
    return task | {"data": task["data"] | {"epochs": 1, "order": "sorted"}, "method": method}


def widen(cache: Path) -> None:
    """Give some pairs a bucket of 32 × 64 pixels, as `tastemaker encode --buckets` does."""
    index = json.loads((cache / "cache.json").read_text())
    rows = load_file(cache / "images-00000.safetensors")
    keep = [index["images"][f"{side}{number}"][1] for number in sorted(WIDE) for side in "wl"]
    wide = {name: torch.cat([rows[name][keep]] * 2, dim=-1) for name in ("mean", "std")}
    wide["mean"] = wide["mean"] + torch.linspace(0, 1, wide["mean"].shape[-1])
    save_file(wide | {"time_ids": rows["time_ids"][keep]}, cache / "images-00001.safetensors")
    for row, key in enumerate(f"{side}{number}" for number in sorted(WIDE) for side in "wl"):
        del index["images"][key]
        index["images"][f"{key}@32x64"] = [1, row]
    index["buckets"] = {f"pair-{number}": [32, 64 if number in WIDE else 32] for number in range(6)}
    (cache / "cache.json").write_text(json.dumps(index))


def test_parts_have_one_shape_and_all_pairs(tree: dict[str, Any]) -> None:
    pairs, cache = read_pairs(Path(tree["data"]["pairs"])), Cache(Path(tree["data"]["cache"]))
    parts = alike(Micro(pairs, [0, 1, 2, 3, 4, 5]), cache)
    assert [(part.visits, cache.shape_of(part.pairs[0])) for part in parts] == [
        ([0, 3, 4], (4, 8, 8)),
        ([1, 2, 5], (4, 8, 16)),
    ]
    assert [pair.pair_id for pair in parts[1].pairs] == ["pair-1", "pair-2", "pair-5"]


def test_one_micro_batch_of_two_shapes_is_one_pair_at_a_time(tree: dict[str, Any], tmp_path: Path) -> None:
    found = []
    for batch_size, accumulate in ((6, 1), (1, 6)):
        out = tmp_path / str(batch_size)
        train(recipe_of(tree, out, batch_size=batch_size, accumulate=accumulate, max_grad_norm=0.0))
        newest = checkpoint.newest(out)
        assert newest is not None
        found.append(newest.tensors)
    for group in ("weights", "memory"):
        for name, value in found[0][group].items():
            torch.testing.assert_close(found[1][group][name], value, rtol=1e-4, atol=1e-6, msg=f"{group}/{name}")
    moments = {name: value for name, value in found[0]["optimizer"].items() if name.endswith("exp_avg")}
    assert any(value.abs().max() > 1e-4 for value in moments.values())
    for name, value in moments.items():
        torch.testing.assert_close(found[1]["optimizer"][name], value, rtol=1e-3, atol=1e-6)


def test_a_pair_without_a_bucket_is_not_in_the_cache(tree: dict[str, Any], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(tree["data"]["cache"], cache)
    index = json.loads((cache / "cache.json").read_text())
    del index["buckets"]["pair-1"]
    (cache / "cache.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"2 images of .* are not in it \(first: l1\)"):
        train(recipe_of(tree | {"data": tree["data"] | {"cache": str(cache)}}, tmp_path / "run"))
