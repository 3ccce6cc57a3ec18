"""Every generated image by every scorer: ``EVAL/scores.parquet``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.evaluate import images as generated
from tastemaker.evaluate.generating import IMAGES
from tastemaker.evaluate.journal import read_table, write_tables
from tastemaker.evaluate.jury import score_key

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from tastemaker.evaluate.looking import Answers

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

ROW_GROUP = 65_536


def write_scores(
    path: Path, folders: Sequence[Path], names: Sequence[str], scorers: Sequence[str], answers: Answers
) -> None:
    """Write model, scorer, the images' keys and score (float32) of all ``scorers`` (ids) and models, in that order."""
    write_tables(_tables(folders, names, scorers, answers), path, row_group=ROW_GROUP)


def read_scores(path: Path, prompts: int, samples: int) -> dict[tuple[str, str], Floats]:
    """``scores.parquet`` as (scorer, model) → scores [prompts, samples], float64."""
    import numpy as np

    table = read_table(path, ["scorer", "model", "score"])
    groups = list(zip(table["scorer"].to_pylist(), table["model"].to_pylist(), strict=True))
    scores = table["score"].to_numpy().astype(np.float64)
    step = prompts * samples
    return {groups[row]: scores[row : row + step].reshape(prompts, samples) for row in range(0, len(scores), step)}


def _tables(
    folders: Sequence[Path], names: Sequence[str], scorers: Sequence[str], answers: Answers
) -> Iterator[pa.Table]:
    """A table for each scorer and model."""
    import pyarrow as pa

    for scorer in scorers:
        for folder, name in zip(folders, names, strict=True):
            keys = read_table(folder / IMAGES, generated.KEYS)
            labels = {"model": pa.array([name] * len(keys)), "scorer": pa.array([scorer] * len(keys))}
            columns = {key: keys[key] for key in generated.KEYS}
            yield pa.table(labels | columns | {"score": answers.read(score_key(scorer), folder)[:, 0]})
