"""`tastemaker encode`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def run(
    ranked: tuple[Path, ...],
    /,
    *,
    data: tuple[Path, ...],
    model: str,
    out: Path,
    resolution: int | None = None,
    buckets: bool = False,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    embeds_dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    revision: str | None = None,
    batch_size: int = 8,
    shard_rows: int = 512,
    device: str = "auto",
) -> None:
    """Turn the images and prompts of ranked pairs into what training reads, each distinct one once.

    Writes latents (mean and standard deviation of the autoencoder) and prompt embeddings to OUT. Killed and started
    again, it goes on where it was.

    Args:
        ranked: One or more folders of ranked pairs, as made by tastemaker rank.
        data: One or more data folders with the images, as made by tastemaker import.
        model: Diffusers model whose encoders to use: a folder or a hub id.
        out: Folder to write to.
        resolution: Side of the square images in pixels, if not the model's own.
        buckets: Cut the images of a pair to a shape near their own, of about the square's area, instead of square.
        dtype: Number format in which the model is loaded and its encoders run; bfloat16 halves the memory of a large
            model and rounds the latents.
        embeds_dtype: Number format of the stored prompt embeddings; bfloat16 is half as large and loses nothing that
            training in bfloat16 would keep.
        revision: Branch, tag or commit of a hub id.
        batch_size: Images or prompts that are encoded at a time.
        shard_rows: Images or prompts in one file.
        device: cpu or cuda; auto takes a GPU where there is one.
    """
    from tastemaker.base.summary import show
    from tastemaker.encode.encoding import encode

    show(
        encode(
            ranked,
            data,
            model,
            out,
            resolution,
            buckets=buckets,
            dtype=dtype,
            embeds_dtype=embeds_dtype,
            revision=revision,
            batch_size=batch_size,
            shard_rows=shard_rows,
            device=device,
        )
    )
