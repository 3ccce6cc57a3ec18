"""`tastemaker export`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def run(
    run: Path,
    /,
    *,
    out: Path,
    format: Literal["lora", "kohya", "merged"] = "lora",
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    license: str | None = None,
    dataset: tuple[str, ...] = (),
    push_to_hub: str | None = None,
    private: bool = True,
) -> None:
    """Write a finished run's weights for other programs, with a model card, and push them to the hub.

    lora is what diffusers and peft read, kohya what ComfyUI and A1111 read; merged is a whole pipeline folder with the
    adapter in its weights.

    Args:
        run: Folder that tastemaker train wrote.
        out: Folder to write to.
        format: Which format.
        dtype: Number format of a merged model, if not the recipe's.
        license: Licence of the weights for the card, as the hub calls it, such as apache-2.0.
        dataset: Hub ids of the data sets behind the pairs, for the card.
        push_to_hub: Repository (owner/name) to upload the folder to; made when missing.
        private: Whether a new repository is private.
    """
    from tastemaker.base.summary import show
    from tastemaker.train.convert import convert

    show(convert(run, format, out, dtype=dtype, license=license, datasets=dataset, repo=push_to_hub, private=private))
