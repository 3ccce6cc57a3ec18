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
    choose: str | None = None,
    embedding: str | None = None,
    classifier: str | None = None,
    splits: int = 10,
    safety: str | None = None,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    batch_size: int = 32,
) -> None:
    """Compare models on the same prompts and noise: means, win rates against the first, bootstrap intervals.

    Beside the scores: how alike a model's images of one prompt are, how far they lie from the first model's, and, where
    asked for, the Inception Score and the share of unsafe images.

    Args:
        images: Output folders of `tastemaker generate`; the first is the base that the others are compared with.
        scorer: Scorers, each with its own rows in the table.
        out: Folder for metrics.json, scores.parquet and table.md, .tex and .csv.
        names: One name for each folder; the folders' own names if not given.
        epsilon: For a scorer, the largest difference that still counts as a tie, such as `world-utility 0.01`.
        trained_with: Scorers that took part in training or in selecting its data, if a run's own files do not say so.
        choose: Of each prompt's samples judge the one with the median score of a scorer, as in `median:pickscore`.
        embedding: A scorer that compares in a space, such as clip; diversity and drift are measured there as well.
        classifier: For the Inception Score: inception (by torch-fidelity), or hf-classifier:checkpoint=FOLDER.
        splits: Of the Inception Score.
        safety: Classifier and its unsafe classes, as in hf-classifier:checkpoint=FOLDER,unsafe=nsfw,threshold=0.5.
        resamples: Bootstrap resamples.
        confidence: Share of the intervals.
        seed: Of the bootstrap.
        batch_size: Images scored at once.
    """
    from tastemaker.base import summary
    from tastemaker.cli.scorers import build
    from tastemaker.evaluate import classifier as classifiers
    from tastemaker.evaluate.evaluation import TABLE, evaluate
    from tastemaker.evaluate.safety import build_safety

    done = evaluate(
        images,
        [build(spec) for spec in scorer],
        out,
        names=names or None,
        epsilon=epsilon,
        trained_with=trained_with,
        choose=choose,
        embedding=build(embedding) if embedding else None,
        classifier=classifiers.build(*classifiers.parse(classifier)) if classifier else None,
        splits=splits,
        safety=build_safety(safety) if safety else None,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        batch_size=batch_size,
    )
    print((out / TABLE).read_text(encoding="utf-8"))
    summary.show(done)
