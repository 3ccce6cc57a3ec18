"""Four real images that people ranked go all the way to an adapter that diffusers draws with."""

from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from support.models import save_tiny_sd
from tastemaker.base import draw
from tastemaker.cli import app

PROMPT = "a painting of an ocean with clouds and birds, day time, low depth field effect"
STEPS = 20
SMALL = f"""
--adapter.rank 4 --train.batch_size 2 --train.accumulate 1 --train.lr 1e-2 --train.sample_every 0
--dtype float32 --data.epochs {STEPS}
""".split()


@pytest.fixture(scope="module")
def images(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as its owner would bring it: the images, best first, and a row for each of the six pairs."""
    folder = tmp_path_factory.mktemp("ocean")
    names = [f"{number}.webp" for number in (1, 2, 3, 4)]
    for name in names:
        shutil.copy(shared_data / "imagereward" / name, folder)
    rows = [{"prompt": PROMPT, "chosen": better, "rejected": worse} for better, worse in combinations(names, 2)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def ranked(images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """DATA and RANKED: imported, scored by size, all six pairs in order."""
    data, best = tmp_path_factory.mktemp("out") / "data", tmp_path_factory.mktemp("out") / "best"
    verb("import", images, "--out", data)
    verb("score", data, "--scorer", "jpeg-size")
    verb("rank", data, "--scorer", "jpeg-size", "--out", best)
    return data, best


def verb(*words: object) -> None:
    assert app.main([str(word) for word in words]) == 0


def test_all_four_images_and_six_pairs_arrive(images: Path, ranked: tuple[Path, Path]) -> None:
    """The bytes are as found, each image once; image n wins 4 − n of its pairs."""
    from tastemaker.base.files import sha256_file
    from tastemaker.rank.pairs import read_pairs

    shas = [sha256_file(images / f"{number}.webp") for number in (1, 2, 3, 4)]
    stored = pq.read_table(ranked[0] / "images" / "images-00000.parquet", columns=["sha", "format"]).to_pylist()
    assert sorted(row["sha"] for row in stored) == sorted(shas)
    assert {row["format"] for row in stored} == {"WEBP"}
    assert (ranked[0] / "quarantine.jsonl").read_text() == ""
    pairs = read_pairs(ranked[1])
    assert {(pair.winner, pair.loser) for pair in pairs} == set(combinations(shas, 2))
    assert [pair.quality for pair in pairs] == sorted((pair.quality for pair in pairs), reverse=True)


def noise() -> torch.Tensor:
    return draw.normal((1, 4, 16, 16), "ocean")


def drawn(pipeline: Any) -> torch.Tensor:
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline(PROMPT, latents=noise(), num_inference_steps=4, output_type="np").images
    return torch.from_numpy(image)


def as_trained(model: Path, run: Path) -> Any:
    """The backbone as training had it at the end: its own adapter with the weights of the last checkpoint."""
    from tastemaker.backbone.adapter import attach
    from tastemaker.backbone.choice import Lora
    from tastemaker.backbone.load import load
    from tastemaker.train import checkpoint

    backbone, found = load(model), checkpoint.newest(run)
    assert found is not None
    parameters = attach(backbone, Lora(kind="lora", rank=4), seed=1).parameters
    with torch.no_grad():
        for name, weight in found.tensors["weights"].items():
            parameters[name].copy_(weight)
    return backbone.pipeline()


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_twenty_steps_train_an_adapter_that_diffusers_draws_with(
    prediction_type: str, ranked: tuple[Path, Path], root: Path, tmp_path: Path
) -> None:
    """64 pixels, 20 steps of Diffusion-DPO; diffusers draws what the backbone draws with the weights in training."""
    from diffusers import StableDiffusionPipeline

    data, best = ranked
    model, cache, run = save_tiny_sd(tmp_path / "sd", prediction_type), tmp_path / "cache", tmp_path / "run"
    verb("encode", best, "--data", data, "--model", model, "--resolution", 64, "--out", cache)
    places = ["--model", model, "--data.pairs", best, "--data.cache", cache, "--out", run]
    verb("train", root / "recipes" / "sd15" / "diffusion-dpo.yaml", *SMALL, "--data.max_pairs", 2 * STEPS, *places)
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, STEPS + 1))
    pipeline = StableDiffusionPipeline.from_pretrained(model, safety_checker=None)
    base = drawn(pipeline)
    pipeline.load_lora_weights(run)
    trained = drawn(pipeline)
    assert base.shape == (1, 64, 64, 3)
    assert torch.equal(trained, drawn(as_trained(model, run)))
    assert (trained - base).abs().max() > 1e-3
