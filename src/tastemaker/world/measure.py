"""What the world's measures are worth: the utility on known pictures, and scorers against the utility."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tastemaker.base.draw import numbers
from tastemaker.evaluate.images import open_png
from tastemaker.evaluate.journal import read_table
from tastemaker.world.captions import Scene, Thing, draw, variants
from tastemaker.world.render import Array, render
from tastemaker.world.sample import PARQUET, TRUTH
from tastemaker.world.scorer import WorldScorer
from tastemaker.world.utility import Judge

FIELDS = ("size", "colour", "shape", "place")


def wrong_attribute(scene: Scene, other: Scene) -> str:
    """The one attribute in which two scenes differ."""
    if scene.background != other.background:
        return "background"
    if len(scene.things) == 2 and {_looks(t) for t in scene.things} == {_looks(t) for t in other.things}:
        return "place"
    pairs = [(a, b) for a, b in zip(scene.things, other.things, strict=True) if a != b]
    return next(field for field in FIELDS for a, b in pairs if getattr(a, field) != getattr(b, field))


def _looks(thing: Thing) -> tuple[str, str, str]:
    return thing.size, thing.colour, thing.shape


def utility_table(count: int = 200, seed: int = 0) -> dict[str, dict[str, float]]:
    """Mean utility and share of correct verdicts of true renders, mismatched ones, and one attribute wrong each."""
    scenes = draw("test", count, seed)
    seen: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for index, scene in enumerate(scenes):
        random = numbers(seed, "measure", index)
        seen["true render"].append(_judged(render(scene, random), scene))
        seen["another caption's render"].append(_judged(render(scenes[index - 1], random), scene))
        for group in variants(scene):
            other = group[int(random.integers(len(group)))]
            seen[f"wrong {wrong_attribute(scene, other)}"].append(_judged(render(other, random), scene))
    return {name: {"utility": _mean(rows, 0), "correct": _mean(rows, 1)} for name, rows in seen.items()}


def _judged(image: Array, scene: Scene) -> tuple[float, bool]:
    judge = Judge(image)
    return judge.utility(scene), judge.correct(scene)


def _mean(rows: Sequence[tuple[float, bool]], column: int) -> float:
    return float(np.mean([row[column] for row in rows]))


def scorer_accuracy(comparisons: Path, noises: Sequence[float], most: int = 1000) -> dict[str, Any]:
    """Share of pairs (a folder of `world sample`) that a world scorer of each noise orders as the utility does."""
    shown = read_table(comparisons / PARQUET, ["caption", "jpg_0", "jpg_1"]).slice(0, most).to_pylist()
    truth = read_table(comparisons / TRUTH, ["utility_0", "utility_1"]).slice(0, most)
    prompts = [row["caption"] for row in shown]
    sides = [[open_png(row[side]) for row in shown] for side in ("jpg_0", "jpg_1")]
    better = truth["utility_0"].to_numpy() > truth["utility_1"].to_numpy()
    found = {}
    for noise in noises:
        scorer = WorldScorer(noise=noise)
        first, second = (scorer.score(prompts, side) for side in sides)
        found[scorer.id] = float(((first > second) == better).mean())
    return found
