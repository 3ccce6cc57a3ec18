"""Two folders of images, liked and disliked, become an adapter: import, score, rank, encode, train by KTO."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.models import save_tiny_sd
from tastemaker.base.errors import UserError
from tastemaker.data.importing import import_data
from tastemaker.encode.encoding import encode
from tastemaker.rank.pairs import read_pairs
from tastemaker.rank.ranking import rank
from tastemaker.score.models.jpeg_size import JpegSize
from tastemaker.score.runner import score
from tastemaker.train.recipe import Recipe
from tastemaker.train.training import train

LIKED, DISLIKED = 5, 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``source``, ``data``, ``ranked`` (all), ``liked``, ``model`` and ``cache``."""
    root = tmp_path_factory.mktemp("likes")
    for number in range(LIKED + DISLIKED):
        path = root / "source" / ("liked" if number < LIKED else "disliked") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        path.with_suffix(".txt").write_text(f"picture {number % 3}")
    import_data(str(root / "source"), root / "data")
    score(root / "data", JpegSize())
    rank(root / "data", "jpeg-size", root / "ranked")
    rank(root / "data", "jpeg-size", root / "liked", only="liked")
    encode([root / "ranked"], root / "data", str(save_tiny_sd(root / "model")), root / "cache")
    return root


def recipe(made: Path, link: str, out: Path, pairs: str = "ranked") -> Recipe:
    return Recipe.model_validate(
        {
            "model": str(made / "model"),
            "data": {"pairs": str(made / pairs), "cache": str(made / "cache"), "epochs": 2},
            "adapter": {"kind": "lora", "rank": 2},
            "method": {"link": {"kind": link}},
            "train": {"batch_size": 3, "accumulate": 1, "device": "cpu"},
            "out": str(out),
        }
    )


def test_from_folders_to_an_adapter(made: Path, tmp_path: Path) -> None:
    signs = [pair.sign for pair in read_pairs(made / "ranked")]
    assert (signs.count(1), signs.count(-1)) == (LIKED, DISLIKED)
    summary = train(recipe(made, "pointwise", tmp_path / "run"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert (summary["steps"], summary["pairs_seen"]) == (len(lines), 2 * (LIKED + DISLIKED))
    assert lines[0]["loss"] == 0.5, "at first the policy is the reference, whatever the verdict"
    assert lines[-1]["loss"] != 0.5


def test_sft_learns_from_what_is_liked(made: Path, tmp_path: Path) -> None:
    assert train(recipe(made, "sft", tmp_path / "run", "liked"))["pairs_seen"] == 2 * LIKED
    with pytest.raises(UserError, match=r"is a disliked image, .* rank with --only liked"):
        train(recipe(made, "sft", tmp_path / "all"))
    assert not (tmp_path / "all" / "recipe.yaml").exists()


def test_a_link_of_pairs_says_what_it_needs(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a single image, but method\.link 'logistic' compares pairs"):
        train(recipe(made, "logistic", tmp_path / "run"))
