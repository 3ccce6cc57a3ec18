"""Every model family from ranked pairs to images, by the verbs a user types, with the family's own recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.pictures import write_noise_pairs
from support.tiny import TINY
from tastemaker.cli import app

RECIPE = {
    "sd1": "sd15/dde",
    "sd2-zero-snr": "sd15/discounted",
    "sdxl": "sdxl/dde",
    "sd3": "sd3/qsd-dpo",
    "sd3-without-t5": "sd3/diffusion-dpo",
    "flux": "flux/qsd-dpo",
}
LORA = ("--adapter", "{kind: lora, rank: 2}", "--dtype", "float32")
SMALL = ("--train.batch_size", "2", "--train.accumulate", "2", "--train.sample_every", "0", "--data.max_pairs", "8")


def verb(*words: object) -> None:
    assert app.main([str(word) for word in words]) == 0, words


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(data folder, ranked pairs) of noise pictures."""
    place = tmp_path_factory.mktemp("families")
    verb("import", write_noise_pairs(place / "source"), "--out", place / "data")
    verb("score", place / "data", "--scorer", "jpeg-size")
    verb("rank", place / "data", "--scorer", "jpeg-size", "--count", 12, "--out", place / "best")
    return place / "data", place / "best"


def drawn(model: Path, adapter: Path | None, prompts: Path, out: Path, side: int) -> bytes:
    extra = [] if adapter is None else ["--adapter", adapter]
    size = ["--resolution", side, "--steps", 2, "--guidance", 1]
    verb("generate", "--model", model, *extra, "--prompts", prompts, *size, "--out", out)
    import pyarrow.parquet as pq

    images: list[bytes] = pq.read_table(out / "images.parquet")["png"].to_pylist()
    return b"".join(images)


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("family", RECIPE)
def test_a_family_is_encoded_trained_drawn_and_exported(
    family: str, ranked: tuple[Path, Path], root: Path, tmp_path: Path
) -> None:
    """Two steps of the family's own recipe; margins start at 0, images change, and the merged model draws them too."""
    (data, best), tiny = ranked, TINY[family]
    side = tiny.drawn or tiny.resolution
    model, cache, run, prompts = tiny.save(tmp_path / "model"), tmp_path / "cache", tmp_path / "run", tmp_path / "p.txt"
    prompts.write_text("a red fox\n", encoding="utf-8")
    verb("encode", best, "--data", data, "--model", model, "--resolution", side, "--out", cache)
    recipe = root / "recipes" / f"{RECIPE[family]}.yaml"
    places = ["--model", model, "--data.pairs", best, "--data.cache", cache, "--out", run]
    verb("check", recipe, *LORA, *SMALL, *places)
    verb("train", recipe, *LORA, *SMALL, "--train.lr", 0.1, "--train.warmup_steps", 0, *places)
    first, second = metrics(run)
    assert (first["margin"], first["accuracy"]) == (0, 0.5)
    assert second["margin"] != 0
    base = drawn(model, None, prompts, tmp_path / "base", side)
    assert drawn(model, run, prompts, tmp_path / "tuned", side) != base
    verb("export", run, "--format", "merged", "--out", tmp_path / "merged")
    assert drawn(tmp_path / "merged", None, prompts, tmp_path / "by-merged", side) != base
    verb("credit", "--runs", run, "--out", tmp_path / "credit.html")
