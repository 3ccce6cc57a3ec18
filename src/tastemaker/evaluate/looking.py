"""Every generated image before every model that is to see it, in one pass.

What is known of an image stands in a journal for each model and each folder's content, so that a killed run goes on,
and a run with one model more asks that one alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tastemaker.base import files, progress
from tastemaker.base.errors import UserError
from tastemaker.evaluate.generating import IMAGES
from tastemaker.evaluate.journal import Journal
from tastemaker.evaluate.jury import Jury, Question, Unseen

if TYPE_CHECKING:
    import pyarrow as pa

    from tastemaker.evaluate.jury import Rows

CHUNK = 256
"""Images between two durable writes."""


class Answers:
    """What is known of the images of several folders, in ``parts``."""

    def __init__(self, parts: Path, folders: Sequence[Path]) -> None:
        self._parts = parts
        self._contents = {folder: files.sha256_file(folder / IMAGES) for folder in folders}

    def journal(self, key: str, *folders: Path) -> Journal:
        """The journal of one question about the content of one folder, or of several together."""
        contents = " ".join(self._contents[folder] for folder in folders)
        return Journal(self._parts / files.sha256_text(f"{key} {contents}")[:16])

    def read(self, key: str, folder: Path) -> Rows:
        """float32 [images, d], in file order."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = pa.concat_tables(self.journal(key, folder).tables())["answer"]
        return np.asarray(pc.list_flatten(column.combine_chunks())).reshape(len(column), -1)

    def complete(self, folder: Path, name: str, jury: Jury, batch_size: int) -> None:
        """Ask ``jury`` what is not known yet of ``folder``; ``name`` is shown beside the bar.

        Raises `UserError` that names file and image where a model cannot see it.
        """
        import pyarrow.parquet as pq

        total = pq.read_metadata(folder / IMAGES).num_rows
        journals = [(question, self.journal(question.key, folder)) for question in jury.questions]
        start = min(journal.rows for _, journal in journals)
        with progress.bar(range(total), f"evaluate {name}", unit="image") as bar:
            bar.update(start)
            for prompts, pngs in _stored(folder, start, CHUNK):
                behind = [(question, journal) for question, journal in journals if journal.rows < start + len(pngs)]
                found = _batched(jury, [question for question, _ in behind], prompts, pngs, batch_size, folder, start)
                for (_, journal), rows in zip(behind, found, strict=True):
                    journal.append(_table(rows[journal.rows - start :]))
                start += len(pngs)
                bar.update(len(pngs))


def _batched(
    jury: Jury,
    wanted: Sequence[Question],
    prompts: Sequence[str],
    pngs: Sequence[bytes],
    batch_size: int,
    folder: Path,
    start: int,
) -> list[Rows]:
    """The answers to ``wanted`` about a chunk that begins at image ``start`` of ``folder``."""
    parts = []
    for first in range(0, len(pngs), batch_size):
        batch = slice(first, first + batch_size)
        try:
            parts.append(list(jury.answer(wanted, prompts[batch], pngs[batch])))
        except Unseen as unseen:
            where = f"{folder / IMAGES}: image {start + first + unseen.row + 1}"
            raise UserError(f"{where} has no {unseen.said}; make it again, or leave out who cannot see it") from None
    return [np.concatenate(rows) for rows in zip(*parts, strict=True)]


def _stored(folder: Path, start: int, size: int) -> Iterator[tuple[list[str], list[bytes]]]:
    """Prompts and encoded images from row ``start`` on, ``size`` at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / IMAGES) as file:
        for chunk in file.iter_batches(size, columns=["prompt", "png"]):
            rows = chunk.slice(min(start, len(chunk)))
            start = max(0, start - len(chunk))
            if len(rows):
                yield rows.column(0).to_pylist(), rows.column(1).to_pylist()


def _table(rows: Rows) -> pa.Table:
    import pyarrow as pa

    return pa.table({"answer": pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])})
