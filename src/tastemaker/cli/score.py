"""`tastemaker score`."""

from __future__ import annotations

from pathlib import Path

QUARANTINED = 3


def run(data: Path, /, *, scorer: str, shard_rows: int = 1024, batch_size: int = 64) -> int:
    """Score every distinct image and prompt of a data folder with a reward model.

    Writes DATA/scores/<scorer id>/scores.parquet. A run that was stopped goes on where it was. Rows that cannot be
    scored are listed in quarantine.jsonl beside it, and the exit code is then 3.

    Args:
        data: Data folder, as made by tastemaker import.
        scorer: Name of the scorer, with options if need be: world, jpeg-size, jpeg-size:quality=90,prefer=small.
        shard_rows: Rows written at a time; a killed run repeats at most so many.
        batch_size: Images given to the scorer at a time; less needs less memory.
    """
    from tastemaker.base.summary import show
    from tastemaker.cli.scorers import build
    from tastemaker.score.runner import score

    summary = score(data, build(scorer), shard_rows=shard_rows, batch_size=batch_size)
    show(summary)
    return QUARANTINED if summary["quarantined"] else 0
