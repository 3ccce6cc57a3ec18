"""The verb ``evaluate``: score every model's images of the same prompts and noise, and compare them with the base's."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files, summary
from tastemaker.evaluate import images as generated
from tastemaker.evaluate import results, tables
from tastemaker.evaluate.generating import IMAGES
from tastemaker.evaluate.options import Judges, at_least_one, check_counts, read
from tastemaker.evaluate.samples import middle, only

if TYPE_CHECKING:
    from tastemaker.evaluate.classifier import Classifier
    from tastemaker.evaluate.options import Options
    from tastemaker.evaluate.results import Groups, Scores
    from tastemaker.evaluate.safety import Safety
    from tastemaker.score.scorer import Scorer

METRICS, SCORES, TABLE, PARTS = "metrics.json", "scores.parquet", "table.md", "parts"


def evaluate(
    images: Sequence[Path],
    scorers: Sequence[Scorer],
    out: Path,
    *,
    names: Sequence[str] | None = None,
    epsilon: Mapping[str, float] | None = None,
    trained_with: Sequence[str] = (),
    choose: str | None = None,
    embedding: Scorer | None = None,
    classifier: Classifier | None = None,
    splits: int = 10,
    safety: Safety | None = None,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    batch_size: int = 32,
) -> dict[str, Any]:
    """Compare the models whose IMAGES folders are ``images`` (the first is the base) by every scorer.

    Writes ``scores.parquet`` (each image scored once, resumable), ``metrics.json`` and ``table.md``. ``names`` label
    the models (default: the folders' names); ``epsilon`` maps a scorer (its id, or its name before the ``@``) to the
    largest difference that still is a tie (default 0); ``trained_with`` names the scorers that took part in training
    or in selecting its data, which are marked, as are those that a run's files name. ``choose`` (``median:SCORER``)
    judges one sample of each prompt. ``embedding`` is a scorer in whose space diversity and drift are measured beside
    pixels, ``classifier`` and ``splits`` give the Inception Score, ``safety`` the share of unsafe images. ``seed`` is
    the bootstrap's. Raises `UserError` unless all folders hold the same prompts, samples and seed.
    """
    started = time.monotonic()
    judges = Judges(scorers, embedding, classifier, safety)
    options = read(
        images,
        judges,
        names=names,
        epsilon=epsilon,
        trained_with=trained_with,
        choose=choose,
        splits=splits,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    at_least_one("--batch-size", batch_size)
    prompts, samples = generated.check_alike(images)
    check_counts(options, judges, prompts, samples)
    groups = generated.groups(images[0])
    inputs = [files.sha256_file(folder / IMAGES) for folder in images]
    asked = options.recorded() | judges.identity() | {"splits": splits, "groups": groups}
    fingerprint = summary.fingerprint(images=inputs, **asked)
    with files.locked(out):
        if done := summary.finished(out, fingerprint):
            shutil.rmtree(out / PARTS, ignore_errors=True)
            return done
        document = _evaluated(images, judges, options, groups, (prompts, samples), out, batch_size)
        files.write_json(out / METRICS, document)
        tables.write(document, out)
        facts = {name: document[name] for name in ("prompts", "samples", "models", "scorers")}
        done = summary.finish(out, "evaluate", started, **facts, out=out, fingerprint=fingerprint)
        shutil.rmtree(out / PARTS)
    return done


def _evaluated(
    images: Sequence[Path],
    judges: Judges,
    options: Options,
    groups: Groups,
    counts: tuple[int, int],
    out: Path,
    batch_size: int,
) -> dict[str, Any]:
    """Ask the judges what is not known yet, write the scores, and compute what ``metrics.json`` holds."""
    from tastemaker.evaluate.figures import Images, figures
    from tastemaker.evaluate.jury import Jury
    from tastemaker.evaluate.looking import Answers
    from tastemaker.evaluate.provenance import taught_by
    from tastemaker.evaluate.scoring import read_scores, write_scores

    jury = Jury(judges, [row["prompt"] for row in generated.keys(images[0])])
    answers = Answers(out / PARTS, images)
    for folder, name in zip(images, options.models, strict=True):
        answers.complete(folder, name, jury, batch_size)
    write_scores(out / SCORES, images, options.models, options.scorers, answers)
    scores = _chosen(read_scores(out / SCORES, *counts), options)
    taught = {name: taught_by(folder, options.scorers) for folder, name in zip(images, options.models, strict=True)}
    known = {*options.trained_with, *(scorer for found in taught.values() for scorer in found)}
    return {
        **options.recorded(),
        "trained_with": sorted(known),
        "found_in_training": taught,
        "prompts": counts[0],
        "samples": counts[1],
        "images_seed": generated.settings(images[0])["seed"],
        "groups": {field: results.values(of_prompt) for field, of_prompt in groups.items()},
        "results": results.results(scores, options, groups, taught),
        **figures(Images(images, counts[1], answers), judges, options),
    }


def _chosen(scores: Scores, options: Options) -> Scores:
    """With ``--choose``, of each model and prompt the scores of one sample, [n, 1]."""
    if not options.choose:
        return scores
    sample = {model: middle(scores[options.choose, model]) for model in options.models}
    return {(scorer, model): only(score, sample[model]) for (scorer, model), score in scores.items()}
