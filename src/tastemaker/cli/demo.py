"""`tastemaker demo`."""

from __future__ import annotations

from pathlib import Path


def run(*, out: Path = Path("out/demo"), seed: int = 0, noise: float = 0.0, short: bool = False) -> None:
    """Align the embedded small world's model with noisy human-like choices, and prove that it got better.

    Needs no GPU, no internet and no data. Every stage is one of the other verbs and leaves its files in OUT; a run that
    was stopped goes on, a finished one is shown again at once.

    Args:
        out: Folder for everything; the report is OUT/report.html.
        seed: Seed of training, held-out captions and initial noise.
        noise: Make the scorer weaker by noise of this standard deviation, to see how ranking depends on it
            (`tastemaker world measure` shows how good such scorers are).
        short: A small version that checks that everything runs and proves nothing.
    """
    from dataclasses import replace

    from tastemaker.world.demo import SHORT, Settings, demo
    from tastemaker.world.story import result_table

    settings = replace(SHORT if short else Settings(), seed=seed, noise=noise)
    print(result_table(demo(out, settings)))
