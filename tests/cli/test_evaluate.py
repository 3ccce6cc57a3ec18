"""`tastemaker evaluate` with every judge, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from support.clip import save_transformers
from support.pictures import encoded, noise
from tastemaker.cli.app import main

LABELS = {0: "fine", 1: "nsfw"}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two IMAGES folders, a CLIP and a classifier, all small and random, laid out as their authors do."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_transformers(Path("clip"))
    sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, num_channels=3)
    ids = {name: number for number, name in LABELS.items()}
    config = ViTConfig(**sizes, image_size=8, patch_size=4, id2label=LABELS, label2id=ids)
    ViTForImageClassification(config).save_pretrained("guard")
    ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained("guard")
    for name, first in (("base", 0), ("tuned", 100)):
        draw(Path(name), first)
    return tmp_path


def draw(folder: Path, first: int) -> None:
    folder.mkdir()
    rows = [
        {"prompt_index": row // 2, "prompt": f"a cat {row // 2}", "sample": row % 2, "png": encoded(noise(first + row))}
        for row in range(8)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "images.parquet")
    (folder / "settings.json").write_text(json.dumps({"seed": 0}))


@pytest.mark.usefixtures("work")
def test_every_judge_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "base", "tuned", "--scorer", "jpeg-size", "clip:checkpoint=clip", "--out", "eval"]
    command += ["--embedding", "clip:checkpoint=clip", "--choose", "median:clip", "--resamples", "100"]
    command += ["--classifier", "hf-classifier:checkpoint=guard", "--splits", "2"]
    command += ["--safety", "hf-classifier:checkpoint=guard,unsafe=nsfw,threshold=0.4"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "Inception Score" in shown
    assert "unsafe share (95%)" in shown
    metrics: dict[str, Any] = json.loads(Path("eval/metrics.json").read_text())
    assert metrics["choose"].startswith("median:clip@")
    assert metrics["embedding"]["trunk"].startswith("clip-")
    assert 0 < metrics["embedding"]["drift"]["tuned"]["value"] < 2
    assert metrics["safety"]["threshold"] == 0.4
    assert main(command) == 0, "a finished evaluation is recognised"
