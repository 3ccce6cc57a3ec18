"""What the viewer shows, as plain values, and how they become a script that a page from the disk may load."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.evaluate import images as generated
from tastemaker.evaluate.generating import IMAGES, PROMPTS
from tastemaker.evaluate.journal import read_table
from tastemaker.evaluate.latex import marks, short_names
from tastemaker.evaluate.samples import middle
from tastemaker.report import inputs as reading
from tastemaker.report.viewer.pictures import Stored

METRICS, SCORES = "metrics.json", "scores.parquet"
Scores = Mapping[tuple[int, int, str], float]


@dataclass(frozen=True)
class Model:
    """A model's name, its IMAGES folder, and scores by (prompt_index, sample, scorer)."""

    name: str
    folder: Path
    scores: Scores


def models(images: Sequence[Path], evaluation: Path | None, names: Sequence[str] | None) -> list[Model]:
    """The models in the order given. Raises `UserError` for folders that differ, or for names that do."""
    if not images:
        raise UserError("view: no images given; give the output folders of `tastemaker generate`, the base first")
    drawn, _ = reading.read_drawn(images, evaluation)
    called = list(names or [model.name for model in drawn])
    if len(called) != len(drawn):
        raise UserError(f"--names: {len(called)} names for {len(drawn)} folders; give one for each")
    if doubled := next((name for name in called if called.count(name) > 1), None):
        raise UserError(f"two models are called {doubled!r}; name them with --names")
    return [Model(name, model.folder, model.scores) for name, model in zip(called, drawn, strict=True)]


def inputs(images: Sequence[Path], evaluation: Path | None) -> list[Path]:
    """The files that the page depends on."""
    given = [folder / IMAGES for folder in images]
    given += [path for path in (images[0] / PROMPTS,) if path.is_file()]
    return given + ([evaluation / METRICS, evaluation / SCORES] if evaluation else [])


def document(
    models: Sequence[Model], stored: Sequence[Stored], samples: int, evaluation: Path | None = None
) -> dict[str, Any]:
    """Everything that the scripts know; lists, so that no text of a user's becomes the name of a property.

    A scorer's ``marks`` (as in `latex.marks`) stand by model; a model's ``files`` and a scorer's ``scores`` of a model
    by prompt, then sample. ``kept`` is None, or for each model and prompt the sample that ``evaluate --choose`` kept.
    """
    prompts = read_table(models[0].folder / IMAGES, ["prompt"])["prompt"].to_pylist()[::samples]
    metrics = files.read_json(evaluation / METRICS) if evaluation else {}
    keys = [(prompt, sample) for prompt in range(len(prompts)) for sample in range(samples)]
    return {
        "prompts": prompts,
        "samples": samples,
        "models": [_model(model, written) for model, written in zip(models, stored, strict=True)],
        "groups": [_group(name, values) for name, values in generated.groups(models[0].folder).items()],
        "scorers": [_scorer(scorer, name, metrics, models, keys) for scorer, name in _named(metrics)],
        "kept": kept(str(metrics.get("choose") or ""), models, samples, keys),
    }


def script(document: Mapping[str, Any]) -> str:
    """``document`` as a script: pages from the disk may load scripts, but may not read files."""
    return f"globalThis.VIEWER = {json.dumps(document, separators=(',', ':'), allow_nan=False)};\n"


def _model(model: Model, stored: Stored) -> dict[str, Any]:
    return {"name": model.name, "width": stored.width, "height": stored.height, "files": list(stored.files)}


def _group(name: str, values: Sequence[str]) -> dict[str, Any]:
    """A field with its distinct values in order, and the place of each prompt's among them."""
    distinct = sorted(set(values))
    places = {value: place for place, value in enumerate(distinct)}
    return {"name": name, "values": distinct, "of": [places[value] for value in values]}


def _named(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    return list(short_names(metrics.get("scorers", [])).items())


def _scorer(
    scorer: str, name: str, metrics: Mapping[str, Any], models: Sequence[Model], keys: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    said = [marks(result) for result in metrics["results"] if result["scorer"] == scorer]
    scores = [[_shortest(model.scores.get((*key, scorer))) for key in keys] for model in models]
    return {"name": name, "marks": said, "epsilon": metrics["epsilon"][scorer], "scores": scores}


def kept(rule: str, models: Sequence[Model], samples: int, keys: Sequence[tuple[int, int]]) -> list[list[int]] | None:
    """Of each model and prompt the sample that ``rule`` (``median:<scorer>``) keeps, None without a rule."""
    import numpy as np

    scorer = rule.removeprefix("median:")
    if scorer == rule:
        return None
    scores = [[model.scores.get((*key, scorer), math.nan) for key in keys] for model in models]
    return [middle(np.reshape(of_model, (-1, samples))).tolist() for of_model in scores]


def _shortest(value: float | None) -> float | None:
    """A float32 in the fewest digits that still mean it; None if it is not a finite number."""
    import numpy as np

    return float(str(np.float32(value))) if value is not None and math.isfinite(value) else None
