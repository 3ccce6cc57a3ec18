"""`tastemaker generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def run(
    *,
    model: str,
    prompts: Path,
    out: Path,
    adapter: Path | None = None,
    adapter_scale: float = 1.0,
    samples: int = 1,
    seed: int = 0,
    steps: int = 50,
    guidance: float = 7.5,
    scheduler: Literal["ddim", "own"] = "ddim",
    resolution: int | None = None,
    limit: int | None = None,
    batch_size: int = 16,
    dtype: Literal["float32", "float16", "bfloat16"] = "float32",
) -> None:
    """Draw images for a list of prompts, from noise that depends on seed, prompt and sample number alone.

    Give every model the same prompts, samples and seed; `tastemaker evaluate` then compares them image by image.

    Args:
        model: Diffusers model: a folder or a hub id; also a run that trained all weights, or one of its checkpoints.
        prompts: .txt (one a line), .json, .jsonl, .csv, .tsv or .parquet with a column prompt or caption; or the folder
            of HPSv2's four lists. Columns category, challenge, style and tag are kept as groups.
        out: Folder for images.parquet, prompts.parquet, settings.json and grid.png.
        adapter: LoRA file, the output folder of `tastemaker train`, or a checkpoint in it, such as
            RUN/checkpoints/step-000100; none draws from the bare model.
        adapter_scale: How strongly the adapter acts; 1 as trained.
        samples: Images a prompt.
        seed: Together with prompt and sample number it gives the initial noise.
        steps: Denoising steps.
        guidance: Classifier-free guidance scale, 1 or less is a single forward pass a step; Flux dev reads it itself.
        scheduler: ddim is deterministic (eta 0; the Euler step of a flow model); own is the one saved with the model.
        resolution: Side in pixels; the model's own if not given.
        limit: Use only the first so many distinct prompts.
        batch_size: Images drawn at once; changes speed and memory only.
        dtype: Precision of the model.
    """
    from tastemaker.base import summary
    from tastemaker.evaluate.generating import generate

    summary.show(
        generate(
            model,
            prompts,
            out,
            adapter=adapter,
            adapter_scale=adapter_scale,
            samples=samples,
            seed=seed,
            steps=steps,
            guidance=guidance,
            scheduler=scheduler,
            resolution=resolution,
            limit=limit,
            batch_size=batch_size,
            dtype=dtype,
        )
    )
