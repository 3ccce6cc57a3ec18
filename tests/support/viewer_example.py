"""IMAGES folders of plain pictures whose scores are known, and an evaluation of them, for the viewer's tests."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tastemaker.base import files
from tastemaker.evaluate.generating import prompts_sha

Colour = tuple[int, int, int]
Score = Callable[[str, str, int, int], float | None]
"""Scorer, model, prompt and sample → score."""
SCHEMA = pa.schema({"prompt_index": pa.int32(), "prompt": pa.string(), "sample": pa.int32(), "png": pa.binary()})


def plain(colour: Colour, side: int = 16) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "png")
    return buffer.getvalue()


def write_images(
    folder: Path,
    prompts: Sequence[str],
    png: Callable[[int, int], bytes],
    samples: int = 1,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """``png`` of every prompt and sample; ``groups`` as `generate` writes them."""
    folder.mkdir(parents=True)
    rows = [
        {"prompt_index": index, "prompt": prompt, "sample": sample, "png": png(index, sample)}
        for index, prompt in enumerate(prompts)
        for sample in range(samples)
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "images.parquet", row_group_size=32)
    files.write_json(folder / "settings.json", {"seed": 0, "prompts_sha": prompts_sha(prompts)})
    if groups is not None:
        indices = pa.array(range(len(prompts)), pa.int32())
        pq.write_table(pa.table({"prompt_index": indices, "prompt": prompts, **groups}), folder / "prompts.parquet")
    return folder


def write_evaluation(
    folder: Path,
    models: Sequence[str],
    prompts: int,
    samples: int,
    epsilon: Mapping[str, float],
    score: Score,
    **more: Any,
) -> Path:
    """What the viewer reads of EVAL: the scorers of ``epsilon`` in order, `more` as further keys of metrics.json.

    A scorer called ``trained…`` took part in training, one called ``chose…`` chose the samples.
    """
    rows = [
        {"scorer": scorer, "model": model, "prompt_index": prompt, "sample": sample, "score": value}
        for scorer in epsilon
        for model in models
        for prompt in range(prompts)
        for sample in range(samples)
        if (value := score(scorer, model, prompt, sample)) is not None
    ]
    folder.mkdir(parents=True)
    schema = pa.schema(
        {"scorer": pa.string(), "model": pa.string(), "prompt_index": pa.int32(), "sample": pa.int32()}
        | {"score": pa.float32()}
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "scores.parquet")
    results = [
        {"scorer": scorer, "model": model, "in_training": scorer.startswith("trained")}
        | {"in_choosing": scorer.startswith("chose")}
        for scorer in epsilon
        for model in models
    ]
    metrics = {"models": list(models), "scorers": list(epsilon), "epsilon": dict(epsilon), "results": results}
    files.write_json(folder / "metrics.json", metrics | {"prompts": prompts, "samples": samples} | more)
    return folder
