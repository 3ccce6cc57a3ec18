"""`tastemaker import`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def run(
    source: str,
    /,
    *,
    out: Path,
    format: Literal["auto", "pickapic", "folder"] = "auto",
    split: str | None = None,
    limit: int | None = None,
) -> None:
    """Read judged image pairs into a store; problems are counted and written to quarantine.jsonl.

    Args:
        source: A Pick-a-Pic Parquet file, a folder of them, a hub id (owner/name), or a folder of images with one
            JSONL or CSV (prompt, chosen, rejected or prompt, image_a, image_b, label).
        out: Folder of the store to write.
        format: How to read the source; auto looks at what is there.
        split: Take only this split (such as train) where the source has several.
        limit: Read only the first rows.
    """
    from tastemaker.base.summary import show
    from tastemaker.data.importing import import_data

    show(import_data(source, out, format=format, split=split, limit=limit))
