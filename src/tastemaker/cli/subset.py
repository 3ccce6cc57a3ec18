"""`tastemaker subset`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def run(
    ranked: Path,
    /,
    *,
    data: Path,
    out: Path,
    format: tuple[Literal["pickapic", "preference"], ...] = ("pickapic",),
    license: str | None = None,
) -> None:
    """Write the kept pairs with their images as Parquet that other trainers read, with a data card.

    Each format is a folder of shards in OUT, in training order; image bytes are those of the source. OUT/README.md says
    whence the pairs come, how they were ranked and what was dropped. While it is written, OUT needs room for the images
    once more.

    Args:
        ranked: Ranked pairs or single images, as made by tastemaker rank.
        data: Data folder that was ranked, as made by tastemaker import.
        out: Folder to write to.
        format: pickapic has Pick-a-Pic's columns, winner first; preference has prompt, chosen and rejected, as the
            datasets library reads images. Both may be given.
        license: Licence of the selection for the card, such as cc-by-4.0; that of the images stays with their source.
    """
    from tastemaker.base.summary import show
    from tastemaker.rank.subset import subset

    show(subset(ranked, data, out, format, license=license))
