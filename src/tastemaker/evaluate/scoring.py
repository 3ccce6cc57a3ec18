"""Every generated image by every scorer, once: ``EVAL/scores.parquet``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base import files, progress
from tastemaker.evaluate import images as generated
from tastemaker.evaluate.generating import IMAGES
from tastemaker.evaluate.journal import Journal, read_table, write_tables

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from tastemaker.score.scorer import Scorer

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

CHUNK = 256
"""Images scored between two durable writes."""


def score_folder(scorer: Scorer, folder: Path, journal: Journal, batch_size: int) -> None:
    """Bring ``journal`` (one column ``score``, float32) up to the number of images in ``folder``."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tastemaker.score.batches import score_batch

    images = range(pq.read_metadata(folder / IMAGES).num_rows)
    with progress.bar(images, f"{scorer.id} {folder.name}", unit="image") as bar:
        bar.update(journal.rows)
        for prompts, pictures in generated.batches(folder, journal.rows, CHUNK):
            scores = score_batch(scorer, prompts, pictures, batch_size)
            journal.append(pa.table({"score": np.asarray(scores, np.float32)}))
            bar.update(len(prompts))


def score_models(
    folders: Sequence[Path], names: Sequence[str], scorers: Sequence[Scorer], parts: Path, batch_size: int
) -> Iterable[pa.Table]:
    """A table for each scorer and model: model, scorer, the images' keys, score. Resumable in ``parts``."""
    import pyarrow as pa

    contents = [files.sha256_file(folder / IMAGES) for folder in folders]
    for scorer in scorers:
        for folder, name, content in zip(folders, names, contents, strict=True):
            journal = Journal(parts / files.sha256_text(f"{scorer.id} {content}")[:16])
            score_folder(scorer, folder, journal, batch_size)
            keys = read_table(folder / IMAGES, generated.KEYS)
            labels = {"model": pa.array([name] * len(keys)), "scorer": pa.array([scorer.id] * len(keys))}
            columns = {key: keys[key] for key in generated.KEYS}
            yield pa.table(labels | columns | {"score": pa.concat_tables(journal.tables())["score"]})


def read_scores(path: Path, prompts: int, samples: int) -> dict[tuple[str, str], Floats]:
    """``scores.parquet`` as (scorer, model) → scores [prompts, samples], float64."""
    import numpy as np

    table = read_table(path, ["scorer", "model", "score"])
    groups = list(zip(table["scorer"].to_pylist(), table["model"].to_pylist(), strict=True))
    scores = table["score"].to_numpy().astype(np.float64)
    step = prompts * samples
    return {groups[row]: scores[row : row + step].reshape(prompts, samples) for row in range(0, len(scores), step)}


def write_scores(tables: Iterable[pa.Table], path: Path) -> None:
    """Write all tables as one Parquet file."""
    write_tables(tables, path, row_group=65_536)
