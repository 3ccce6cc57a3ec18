"""What D3PO can be taught in the small world: who judges, by what it is measured, and captions for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tastemaker.world.assets import D3PO


@dataclass(frozen=True)
class Task:
    """Who judges, what is measured on held-out images (the first is what it was taught), and what else is changed."""

    feedback: Mapping[str, Any]
    scorers: tuple[str, ...]
    changes: Mapping[str, Any]


def _jpeg(prefer: str) -> Task:
    spec = f"jpeg-size:prefer={prefer}"
    credit = {"when": {"kind": "range", "low": 0.12, "high": 0.85}, "correction": {"kind": "ratio-clip"}}
    changes = {"rounds.watch": ["world-utility"], "rounds.count": 8, "method.credit": credit}
    return Task({"kind": "scorer", "scorers": [spec]}, (spec, "world-utility"), changes)


TASKS: dict[str, Task] = {
    "people": Task({}, ("world-utility", "world-correct", "world-shapes"), {}),
    "shapes": Task(
        {"kind": "simulated", "scorer": "world-shapes", "temperature": 0.1, "flips": 0.1},
        ("world-shapes", "world-utility", "world-correct"),
        {"rounds.count": 16},
    ),
    "compressibility": _jpeg("small"),
    "incompressibility": _jpeg("large"),
}
"""``people`` is the recipe as it is: a simulated person who goes by utility and makes mistakes. In ``shapes`` one flags
images with a wrong shape, and is wrong in a tenth of the comparisons. In the others the JPEG size is judged, and less
noisy steps are read as well, because texture counts."""
EPSILON = {"world-utility": 0.02}
SEEN, HELD_OUT = 300, 300
"""Held-out captions by which the recipe's settings were chosen (the demo's with seed 0); the proof has others."""
CAPTIONS = 2000
"""To sample from."""


def tree(task: str) -> dict[str, Any]:
    """The world's D3PO recipe with the judge of ``task``; whose model, prompts, seed and out the caller says."""
    from tastemaker.base.config import read_yaml

    found, chosen = read_yaml(D3PO), TASKS[task]
    for name, value in chosen.changes.items():
        section, _, field = name.partition(".")
        found[section] = {**found[section], field: value}
    return found | ({"feedback": dict(chosen.feedback)} if chosen.feedback else {})


@cache
def sampled(count: int = CAPTIONS) -> tuple[str, ...]:
    """The captions of the train split that runs sample from."""
    from tastemaker.world import captions

    return tuple(captions.caption(scene) for scene in captions.draw("train", count, 0))


@cache
def held_out(count: int = HELD_OUT) -> tuple[str, ...]:
    """The captions that prove: of the test split, none of those by which settings were chosen."""
    from tastemaker.world import captions

    seen = set(captions.draw("test", SEEN, 0))
    fresh = [scene for scene in captions.draw("test", SEEN + count, 1) if scene not in seen]
    return tuple(captions.caption(scene) for scene in fresh[:count])
