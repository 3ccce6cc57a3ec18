"""`tastemaker import`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def run(
    source: str,
    /,
    *,
    out: Path,
    format: Literal["auto", "pickapic", "folder", "verdicts"] = "auto",
    split: str | None = None,
    limit: int | None = None,
) -> None:
    """Read judged pairs of images, or images judged alone, into a store; problems are counted and written down.

    Args:
        source: A Pick-a-Pic Parquet file, a folder of them, a hub id (owner/name), a folder of images with one
            JSONL or CSV (prompt, chosen, rejected; prompt, image_a, image_b, label; or prompt, image, liked), or a
            folder with the folders liked and disliked.
        out: Folder of the store to write.
        format: How to read the source; auto looks at what is there.
        split: Take only this split (such as train) where the source has several.
        limit: Read only the first rows.
    """
    from tastemaker.base.summary import show
    from tastemaker.data.importing import import_data

    show(import_data(source, out, format=format, split=split, limit=limit))
