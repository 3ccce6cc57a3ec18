"""`tastemaker evaluate`."""

from __future__ import annotations

from pathlib import Path


def run(
    images: tuple[Path, ...],
    /,
    *,
    scorer: tuple[str, ...],
    out: Path,
    names: tuple[str, ...] = (),
    epsilon: dict[str, float] | None = None,
    trained_with: tuple[str, ...] = (),
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    batch_size: int = 32,
) -> None:
    """Compare models on the same prompts and noise: means, win rates against the first, bootstrap intervals.

    Args:
        images: Output folders of `tastemaker generate`; the first is the base that the others are compared with.
        scorer: Scorers, each with its own rows in the table.
        out: Folder for metrics.json, scores.parquet and table.md.
        names: One name for each folder; the folders' own names if not given.
        epsilon: For a scorer, the largest difference that still counts as a tie, such as `world-utility 0.01`.
        trained_with: Scorers that took part in training or in selecting its data; they are marked.
        resamples: Bootstrap resamples.
        confidence: Share of the intervals.
        seed: Of the bootstrap.
        batch_size: Images scored at once.
    """
    from tastemaker.base import summary
    from tastemaker.cli.scorers import build
    from tastemaker.evaluate.evaluation import TABLE, evaluate

    done = evaluate(
        images,
        [build(spec) for spec in scorer],
        out,
        names=names or None,
        epsilon=epsilon,
        trained_with=trained_with,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        batch_size=batch_size,
    )
    print((out / TABLE).read_text(encoding="utf-8"))
    summary.show(done)
