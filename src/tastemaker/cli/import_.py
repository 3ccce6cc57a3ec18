"""`tastemaker import`."""

from __future__ import annotations

from pathlib import Path

from tastemaker.data.readers import Format
from tastemaker.data.readers.options import Question


def run(
    source: str,
    /,
    *,
    out: Path,
    format: Format = "auto",
    split: str | None = None,
    question: Question | None = None,
    limit: int | None = None,
) -> None:
    """Read judged pairs of images, or images judged alone, into a store; problems are counted and written down.

    Args:
        source: A file, a folder, or the hub id (owner/name) of a data set in Parquet. docs/data.md shows every format:
            Pick-a-Pic, HPDv2, HPDv3, ImageReward and Rapidata as they are published; the images and ratings of D3PO's
            code; a folder of images with one JSONL or CSV (prompt, chosen, rejected; prompt, image_a, image_b, label;
            or prompt, image, liked); two folders w and l (or chosen and rejected, winner and loser) with images of the
            same names; or folders liked and disliked.
        out: Folder of the store to write.
        format: How to read the source; auto looks at what is there.
        split: Take only this split (such as train, or a pattern) where the source has several.
        question: Which answers count in Rapidata's newer sets; preference where it is left out.
        limit: Read only the first rows.
    """
    from tastemaker.base.summary import show
    from tastemaker.data.importing import import_data

    show(import_data(source, out, format=format, split=split, question=question, limit=limit))
