"""A scoring run of a process of its own: `python score_by.py DATA EXECUTOR WORKERS [LOG]`, also under torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

from support.toy_scorers import Bright, Fitting, Pretty, ToyTrunk
from tastemaker.score.executors import executor
from tastemaker.score.models.jpeg_size import JpegSize
from tastemaker.score.runner import Settings, score_all
from tastemaker.score.scorer import Scorer
from tastemaker.world.scorer import WorldScorer

SETTINGS = Settings(shard_rows=8, batch_size=3)


def scorers(log: Path | None = None) -> list[Scorer]:
    """One of every kind, two of them on one trunk, and a real CLIP."""
    trunk = ToyTrunk(log)
    return [Fitting(trunk), Pretty(trunk), Bright(), JpegSize(), WorldScorer()]


if __name__ == "__main__":
    data, name, workers, *log = sys.argv[1:]
    by = executor(name, int(workers) or None)  # type: ignore[arg-type]
    score_all(Path(data), scorers(Path(log[0]) if log else None), SETTINGS, by)
