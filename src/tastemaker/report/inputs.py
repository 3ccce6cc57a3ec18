"""What the report reads of other verbs' outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.report.gallery import Drawn

HIDDEN = ("fingerprint", "verb", "out")


def read_metrics(run: Path) -> dict[str, list[float]]:
    """A run's metrics.jsonl as columns; raises `UserError` naming file and line."""
    path = run / "metrics.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path}: not readable; give the output folder of `tastemaker train`") from None
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1)]
    if not rows:
        raise UserError(f"{path}: holds no line yet; train at least until the first one is logged")
    return {
        name: [row.get(name, float("nan")) for row in rows]
        for name in dict.fromkeys(name for row in rows for name in row)
    }


def _row(path: Path, number: int, line: str) -> dict[str, float]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {number}: not JSON ({error}); remove the line") from None
    if not isinstance(row, dict) or "pairs_seen" not in row:
        raise UserError(f"{path}: line {number}: no 'pairs_seen'; is this a log of `tastemaker train`?")
    return {name: value for name, value in row.items() if isinstance(value, int | float)}


def read_drawn(images: Sequence[Path], evaluation: Path | None) -> tuple[list[Drawn], int]:
    """The models' images with names and (given the evaluation) scores, and the number of prompts."""
    from tastemaker.evaluate.images import check_alike

    prompts, samples = check_alike(images)
    if not evaluation:
        return [Drawn(folder.resolve().name, folder, {}) for folder in images], prompts
    metrics = files.read_json(evaluation / "metrics.json")
    if (len(metrics["models"]), metrics["prompts"], metrics["samples"]) != (len(images), prompts, samples):
        raise UserError(f"{evaluation}: compares other images than --images; give the same folders in the same order")
    scores = read_scores(evaluation)
    return [Drawn(name, folder, scores[name]) for name, folder in zip(metrics["models"], images, strict=True)], prompts


def read_scores(evaluation: Path) -> dict[str, dict[tuple[int, int, str], float]]:
    """Model → (prompt_index, sample, scorer) → score."""
    from tastemaker.evaluate.journal import read_table

    columns = ["model", "prompt_index", "sample", "scorer", "score"]
    table = read_table(evaluation / "scores.parquet", columns)
    scores: dict[str, dict[tuple[int, int, str], float]] = {}
    for model, index, sample, scorer, score in zip(*(table[name].to_pylist() for name in columns), strict=True):
        scores.setdefault(model, {})[index, sample, scorer] = score
    return scores


def differences(base: Drawn, tuned: Drawn, scorer: str) -> dict[int, float]:
    """By how much the tuned model's first sample beats the base's, by prompt index."""
    keys = [key for key in base.scores if key[1:] == (0, scorer)]
    return {key[0]: tuned.scores[key] - base.scores[key] for key in keys}


def read_facts(path: Path) -> dict[str, Any]:
    """A JSON object's entries but for those that say nothing to a reader; nothing when there is no such file."""
    if not path.is_file():
        return {}
    document = files.read_json(path)
    return {name: value for name, value in document.items() if name not in HIDDEN}
