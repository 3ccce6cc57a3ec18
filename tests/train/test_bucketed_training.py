"""A run on a cache of buckets, from images to weights."""

from __future__ import annotations

import json

import pytest

from support.encoding import png, rank
from support.models import save_tiny_sd
from support.training import recipe_of
from tastemaker.data.store import write_images
from tastemaker.encode.encoding import encode
from tastemaker.train.training import train

SIZES = [(40, 50), (60, 36), (36, 60), (33, 60), (50, 50), (60, 33)]
PAIRS = [(2, 3), (1, 5), (0, 4), (3, 2)]
"""Of shapes 24 × 40, 40 × 24, 32 × 32 and 24 × 40, so that one batch has three."""


def test_a_batch_of_several_shapes_is_the_mean_over_its_pairs(tmp_path):
    """Four pairs at once, in three shapes, give the loss and the gradient of four pairs one by one."""
    model = save_tiny_sd(tmp_path / "model", tiny_vae=True)
    shas = write_images(tmp_path / "data", [png(number, *size) for number, size in enumerate(SIZES)])
    rank(tmp_path / "ranked", [(shas[winner], shas[loser], "a cat") for winner, loser in PAIRS])
    encode([tmp_path / "ranked"], tmp_path / "data", str(model), tmp_path / "cache", buckets=True)
    tree = {
        "model": str(model),
        "data": {"pairs": str(tmp_path / "ranked"), "cache": str(tmp_path / "cache")},
        "adapter": {"kind": "lora", "rank": 2, "alpha": 4},
        "method": {"link": {"kind": "logistic", "beta": 200}},
        "train": {"lr": 1e-3},
    }
    found = []
    for size in (4, 1):
        train(recipe_of(tree, tmp_path / f"run-{size}", batch_size=size, accumulate=4 // size))
        lines = (tmp_path / f"run-{size}" / "metrics.jsonl").read_text().splitlines()
        found.append([json.loads(line) for line in lines])
    assert [line["pairs_seen"] for line in found[0]] == [4]
    for name in ("loss", "gradient_norm", "error_winner", "error_loser", "t"):
        expected = [line[name] for line in found[1]]
        assert [line[name] for line in found[0]] == pytest.approx(expected, rel=1e-4), name
