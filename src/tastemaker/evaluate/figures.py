"""What `metrics.json` says of a model's images beside their scores: diversity, drift, Inception Score, safety."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.evaluate import diversity
from tastemaker.evaluate.inception import inception_score
from tastemaker.evaluate.jury import classifier_key, embedding_key
from tastemaker.evaluate.safety import rate
from tastemaker.evaluate.winrate import mean_interval

if TYPE_CHECKING:
    from tastemaker.evaluate.diversity import Distances
    from tastemaker.evaluate.looking import Answers
    from tastemaker.evaluate.options import Judges, Options

PIXELS = "distances of pixels"
Figure = dict[str, Any]


@dataclass(frozen=True)
class Images:
    """The folders of all models, the base first, and what is known of their images."""

    folders: Sequence[Path]
    samples: int
    answers: Answers

    def base_of(self, folder: Path) -> Path | None:
        """The base's folder, None for its own."""
        return None if folder == self.folders[0] else self.folders[0]


def figures(images: Images, judges: Judges, options: Options) -> Figure:
    """The keys ``diversity``, ``drift``, ``embedding``, ``inception`` and ``safety`` of ``metrics.json``."""
    by_pixels = {folder: _by_pixels(images, folder) for folder in images.folders}
    found = _alike(by_pixels, options) | dict.fromkeys(("embedding", "inception", "safety"))
    if judges.embedding:
        trunk = judges.embedding.trunk.id  # type: ignore[attr-defined]
        by_trunk = {folder: _by_trunk(images, folder, trunk) for folder in images.folders}
        found["embedding"] = {"scorer": judges.embedding.id, "trunk": trunk, **_alike(by_trunk, options)}
    if judges.classifier:
        found["inception"] = _inception(images, judges.classifier.id, options)
    if judges.safety:
        found["safety"] = judges.safety.identity() | {"models": _safety(images, judges, options)}
    return found


def _by_pixels(images: Images, folder: Path) -> tuple[Distances, Distances]:
    base = images.base_of(folder)
    journal = images.answers.journal(PIXELS, folder, *([base] if base else []))
    return diversity.of_pixels(folder, base, images.samples, journal)


def _by_trunk(images: Images, folder: Path, trunk: str) -> tuple[Distances, Distances]:
    base, key = images.base_of(folder), embedding_key(trunk)
    others = images.answers.read(key, base) if base else None
    return diversity.of_embeddings(images.answers.read(key, folder), others, images.samples)


def _alike(found: Mapping[Path, tuple[Distances, Distances]], options: Options) -> dict[str, Figure]:
    """Model → interval of its diversity and of its drift; None where there is nothing to measure."""
    rows = dict(zip(options.models, found.values(), strict=True))
    return {
        "diversity": {model: _mean(spread, options) for model, (spread, _) in rows.items()},
        "drift": {model: _mean(drift, options) for model, (_, drift) in rows.items()},
    }


def _mean(distance_n: Distances, options: Options) -> dict[str, float] | None:
    import numpy as np

    known = distance_n[np.isfinite(distance_n)]
    if not known.size:
        return None
    found = mean_interval(known, **options.statistics)
    return {"value": found.value, "low": found.low, "high": found.high}


def _inception(images: Images, classifier: str, options: Options) -> Figure:
    models = {}
    for model, folder in zip(options.models, images.folders, strict=True):
        logits = images.answers.read(classifier_key(classifier), folder)
        score = inception_score(logits, options.splits, options.bootstrap_seed)
        models[model] = {"score": score.score, "std": score.std, "images": score.images}
    return {"classifier": classifier, "splits": options.splits, "models": models}


def _safety(images: Images, judges: Judges, options: Options) -> Figure:
    assert judges.safety
    models = {}
    for model, folder in zip(options.models, images.folders, strict=True):
        logits = images.answers.read(classifier_key(judges.safety.classifier.id), folder)
        flags = judges.safety.unsafe_images(logits)
        models[model] = rate(flags.reshape(-1, images.samples), options.statistics)
    return models
