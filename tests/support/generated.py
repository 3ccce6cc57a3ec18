"""Settings that draw fast, and the pixels of what `generate` wrote."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from tastemaker.evaluate.generating import generate

PROMPTS = ["a red square", "two blue circles", "שלום 🦊", "a red square"]
FAST: dict[str, Any] = {"steps": 2, "guidance": 3.0, "batch_size": 2}


def images(folder: Path) -> np.ndarray:
    pngs = pq.read_table(folder / "images.parquet")["png"].to_pylist()
    return np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pngs])


def drawn(model: Path, prompts: list[str], out: Path, settings: dict[str, Any]) -> dict[tuple[str, int], np.ndarray]:
    """(prompt, sample) → pixels."""
    generate(model, prompts, out, **settings)
    rows = pq.read_table(out / "images.parquet", columns=["prompt", "sample"]).to_pylist()
    return {(row["prompt"], row["sample"]): image.astype(int) for row, image in zip(rows, images(out), strict=True)}
