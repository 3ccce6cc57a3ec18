"""What the report reads of other verbs' outputs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.report.gallery import Drawn

if TYPE_CHECKING:
    import numpy as np

    from tastemaker.train.recipe import D3po

HIDDEN = ("fingerprint", "verb", "out")
REWARD = "reward/"
"""What a scorer's column of metrics.jsonl begins with."""
AGAIN = "put the run's folder back as it was, or leave the run out of --runs"


class Mean(NamedTuple):
    """A mean over prompts, and half of its 95 % interval (NaN for one prompt)."""

    value: float
    half: float


@dataclass(frozen=True, eq=False)
class Online:
    """An online run as its folder tells it: recipe, columns of metrics.jsonl, and the lines that begin a round."""

    folder: Path
    recipe: D3po
    columns: Mapping[str, Sequence[float]]
    rounds: Sequence[Mapping[str, float]]
    rewards: Mapping[str, Sequence[Mean]]
    """Scorer → its mean in every round."""

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.folder.resolve().name

    @property
    def images_before(self) -> list[int]:
        """Images sampled before each round: r P K."""
        size = self.recipe.rounds.prompts * self.recipe.rollout.images
        return [int(line["round"]) * size for line in self.rounds]


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


def is_online(run: Path) -> bool:
    """Whether ``run`` is an output of `tastemaker d3po`."""
    from tastemaker.rollout.rounds import FOLDER

    return (run / FOLDER).is_dir()


def read_online(run: Path) -> Online:
    """What the folder of an online run says, but for its images. Raises `UserError` naming a missing or damaged file.

    A round's reward is a mean over samples first, then over prompts.
    """
    from tastemaker.train.recipe import NAME, D3po, read_recipe

    columns = read_metrics(run)
    if not {"round", "diversity", "comparisons", "ties"} <= columns.keys():
        raise UserError(f"{run / 'metrics.jsonl'}: no line of a round with its diversity and ties; {AGAIN}")
    begin = [row for row, number in enumerate(columns["round"]) if not math.isnan(number)]
    lines = [{name: values[row] for name, values in columns.items()} for row in begin]
    scorers = [name.removeprefix(REWARD) for name in columns if name.startswith(REWARD)]
    found = [_means(run, int(line["round"]), scorers) for line in lines if scorers]
    means = {scorer: [of_round[scorer] for of_round in found] for scorer in scorers}
    return Online(run, read_recipe(run / NAME, kind=D3po), columns, lines, means)


def _means(run: Path, number: int, scorers: Sequence[str]) -> dict[str, Mean]:
    from tastemaker.evaluate.journal import read_table
    from tastemaker.rollout.rounds import REWARDS, path_of

    path = path_of(run, number) / REWARDS
    raw: dict[str, dict[int, list[float]]] = {scorer: {} for scorer in scorers}
    for row in read_table(path, ["prompt_index", "scorer", "raw"]).to_pylist():
        raw.get(row["scorer"], {}).setdefault(row["prompt_index"], []).append(row["raw"])
    if lacking := [scorer for scorer, prompts in raw.items() if not prompts]:
        raise UserError(f"{path}: holds nothing of {lacking[0]}, but metrics.jsonl does; {AGAIN}")
    return {scorer: mean([_average(values) for values in prompts.values()]) for scorer, prompts in raw.items()}


def mean(values: Sequence[float]) -> Mean:
    """Mean of P values, and 1.96 s / √P with s² over P − 1."""
    import numpy as np

    half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Mean(_average(values), half)


def _average(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def read_samples(folder: Path, prompt: int) -> tuple[str, dict[int, str]]:
    """Text and sample → sha of prompt number ``prompt`` of a round. Raises as `read_online` does."""
    from tastemaker.evaluate.journal import read_table
    from tastemaker.rollout.rounds import ROLLOUTS

    table = read_table(folder / ROLLOUTS, ["prompt_index", "prompt", "sample", "sha"])
    rows = [row for row in table.to_pylist() if row["prompt_index"] == prompt]
    if not rows:
        raise UserError(f"{folder / ROLLOUTS}: holds no image of prompt {prompt}; {AGAIN}")
    return rows[0]["prompt"], {row["sample"]: row["sha"] for row in rows}


def read_trace(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    """What a run's ``memory.safetensors`` says of the steps, [field, side, T] as in `method.trace`, if it is there.

    Raises `UserError` for a damaged file.
    """
    import numpy as np
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, "numpy") as file:
            trace = np.asarray(file.get_tensor("trace"), np.float64)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: damaged ({error}); train again into another folder") from None
    if trace.ndim != 3 or trace.shape[:2] != (3, 2):
        raise UserError(f"{path}: trace: shape {trace.shape}, not (3, 2, T); train again into another folder")
    return trace


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
