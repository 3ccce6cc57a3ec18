"""The verb ``evaluate``: score every model's images of the same prompts and noise, and compare them with the base's."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.evaluate import images as generated
from tastemaker.evaluate import metrics
from tastemaker.evaluate.generating import IMAGES
from tastemaker.evaluate.scoring import read_scores, score_models, write_scores

if TYPE_CHECKING:
    from tastemaker.score.scorer import Scorer

METRICS, SCORES, TABLE, PARTS = "metrics.json", "scores.parquet", "table.md", "parts"
T = TypeVar("T")


def evaluate(
    images: Sequence[Path],
    scorers: Sequence[Scorer],
    out: Path,
    *,
    names: Sequence[str] | None = None,
    epsilon: Mapping[str, float] | None = None,
    trained_with: Sequence[str] = (),
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    batch_size: int = 32,
) -> dict[str, Any]:
    """Compare the models whose IMAGES folders are ``images`` (the first is the base) by every scorer.

    Writes ``scores.parquet`` (each image scored once, resumable), ``metrics.json`` and ``table.md``. ``names`` label
    the models (default: the folders' names); ``epsilon`` maps a scorer (its id, or its name before the ``@``) to the
    largest difference that still is a tie (default 0); ``trained_with`` names the scorers that took part in training
    or in selecting its data, which are marked. ``seed`` is the bootstrap's. Raises `UserError` unless all folders hold
    the same prompts, samples and seed.
    """
    started = time.monotonic()
    if not images:
        raise UserError("evaluate: no images given; give the output folders of `tastemaker generate`, the base first")
    ids = _distinct("scorer", [scorer.id for scorer in scorers])
    settings: dict[str, Any] = {
        "models": _distinct("model name", list(names or [folder.resolve().name for folder in images]), len(images)),
        "scorers": ids,
        "epsilon": dict.fromkeys(ids, 0.0) | _by_id("--epsilon", _not_negative("--epsilon", epsilon or {}), ids),
        "trained_with": sorted(_by_id("--trained-with", dict.fromkeys(trained_with, True), ids)),
        "resamples": _at_least_one("--resamples", resamples),
        "confidence": _share("--confidence", confidence),
        "bootstrap_seed": seed,
    }
    _at_least_one("--batch-size", batch_size)
    prompts, samples = generated.check_alike(images)
    inputs = [files.sha256_file(folder / IMAGES) for folder in images]
    fingerprint = summary.fingerprint(images=inputs, **settings)
    with files.locked(out):
        if done := summary.finished(out, fingerprint):
            shutil.rmtree(out / PARTS, ignore_errors=True)
            return done
        write_scores(score_models(images, settings["models"], scorers, out / PARTS, batch_size), out / SCORES)
        scores = read_scores(out / SCORES, prompts, samples)
        counts = {"prompts": prompts, "samples": samples, "images_seed": generated.settings(images[0])["seed"]}
        document = settings | counts | {"results": metrics.results(scores, settings)}
        files.write_json(out / METRICS, document)
        files.write_text(out / TABLE, metrics.table(document))
        facts = {"prompts": prompts, "samples": samples, "models": settings["models"], "scorers": ids}
        done = summary.finish(out, "evaluate", started, **facts, out=out, fingerprint=fingerprint)
        shutil.rmtree(out / PARTS)
    return done


def _distinct(what: str, values: list[str], count: int | None = None) -> list[str]:
    if len(set(values)) != len(values):
        raise UserError(f"{what} {max(values, key=values.count)!r} is given twice; name the models with --names")
    if not values or count not in (None, len(values)):
        raise UserError(f"{len(values)} {what}s given, {count or 'at least 1'} needed; give one for each")
    return values


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise UserError(f"{name} {value}: must be at least 1")
    return value


def _not_negative(name: str, values: Mapping[str, float]) -> Mapping[str, float]:
    for scorer, value in values.items():
        if not value >= 0:
            raise UserError(f"{name} {scorer} {value}: a difference cannot be negative; 0 counts none as a tie")
    return values


def _share(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise UserError(f"{name} {value}: must be between 0 and 1, such as 0.95")
    return value


def _by_id(option: str, values: Mapping[str, T], ids: Sequence[str]) -> dict[str, T]:
    """``values`` of scorers named by id or by the part before the @, as a table by id."""
    found: dict[str, T] = {}
    for name, value in values.items():
        matches = [scorer for scorer in ids if name in (scorer, scorer.partition("@")[0])]
        if not matches:
            raise UserError(f"{option} {name}: no such scorer here; give one of {', '.join(ids)}")
        found |= dict.fromkeys(matches, value)
    return found
