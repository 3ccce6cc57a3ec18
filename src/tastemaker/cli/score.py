"""`tastemaker score`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

QUARANTINED = 3


def run(
    data: Path,
    /,
    *,
    scorer: tuple[str, ...],
    shard_rows: int = 1024,
    batch_size: int = 64,
    executor: Literal["auto", "local", "torchrun", "ray"] = "auto",
    workers: int | None = None,
    keep_embeddings: bool = False,
    retry: bool = False,
    price: float | None = None,
) -> int:
    """Score every distinct image and prompt of a data folder with reward models.

    Writes DATA/scores/<scorer id>/scores.parquet. A run that was stopped goes on where it was. Rows that cannot be
    scored are listed in quarantine.jsonl beside it, and the exit code is then 3.

    Args:
        data: Data folder, as made by tastemaker import.
        scorer: Names of scorers, with options if need be: hpsv2.1 aesthetic jpeg-size:quality=90,prefer=small. Each
            image is decoded once for all of them, and seen once by a model that several share.
        shard_rows: Rows written at a time; a killed run repeats at most so many for each worker.
        batch_size: Images given to a scorer at a time; less needs less memory.
        executor: Who does it: processes of this machine, the ranks that torchrun started, or a Ray cluster; auto sees
            whether torchrun started it.
        workers: How many processes or Ray actors hold the models, each with a GPU of its own where there are.
        keep_embeddings: Keep what CLIP models see in DATA/embeddings, so that a later scorer on the same model
            decodes nothing.
        retry: Score again the rows that an earlier run put into quarantine.
        price: What one worker costs an hour; the progress bar then shows what the rest will cost.
    """
    from tastemaker.base.summary import show
    from tastemaker.cli.scorers import build
    from tastemaker.score import executors
    from tastemaker.score.runner import Settings, score_all

    settings = Settings(shard_rows, batch_size, keep_embeddings, retry, price)
    by = executors.executor(executor, workers)
    summaries = score_all(data, [build(spec) for spec in scorer], settings, by)
    for summary in summaries if by.main else []:
        show(summary)
    return QUARANTINED if any(summary["quarantined"] for summary in summaries) else 0
