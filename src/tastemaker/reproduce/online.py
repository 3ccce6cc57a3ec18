"""What D3PO learns from fresh samples (arXiv 2311.13231): tasks of the small world, and of Stable Diffusion 1.5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tastemaker.reproduce.profile import Judge, Model, Speed
from tastemaker.reproduce.sizes import SIZES
from tastemaker.world import tasks
from tastemaker.world.assets import BASE_MODEL

Prompts = Callable[[], Sequence[str]]
COMPRESSIBILITY, INCOMPRESSIBILITY, AESTHETICS, PEOPLE, SHAPES = (
    "compressibility",
    "incompressibility",
    "aesthetics",
    "people",
    "shapes",
)


@dataclass(frozen=True)
class OnlineTask:
    """Rounds of sampling, asking and training, and what is measured afterwards.

    ``model.tree`` is a recipe of `tastemaker d3po` without adapter, prompts, seed and out. ``sampled`` are the prompts
    of the rounds, ``test`` those that are reported; no prompt is in both. The first of ``judges`` is what is taught.
    Of ``model.speed`` a pair has all the steps that a visit reads.
    """

    model: Model
    sampled: Prompts
    test: Prompts
    judges: tuple[Judge, ...]

    @property
    def taught(self) -> Judge:
        """By what the model is taught."""
        return self.judges[0]

    @property
    def images(self) -> int:
        """Images that a run samples."""
        return self._rounds["count"] * self._rounds["prompts"] * self.model.tree["rollout"]["images"]

    @property
    def pairs(self) -> int:
        """Pairs that a run reads, with repetition."""
        train = self.model.tree["train"]
        return self._rounds["count"] * self._rounds["updates"] * train["batch_size"] * train["accumulate"]

    @property
    def seconds(self) -> float:
        """What a run should take."""
        drawn = self.images * self.model.tree["rollout"]["steps"] / self.model.steps
        return drawn * self.model.speed.draw + self.pairs * self.model.speed.pair

    @property
    def _rounds(self) -> dict[str, Any]:
        return self.model.tree["rounds"]


UTILITY = Judge("world-utility", "utility", tasks.EPSILON["world-utility"])
NAMES = {
    "world-utility": UTILITY,
    "world-correct": Judge("world-correct", "correct"),
    "world-shapes": Judge("world-shapes", SHAPES),
    "jpeg-size:prefer=small": Judge("jpeg-size:prefer=small", COMPRESSIBILITY),
    "jpeg-size:prefer=large": Judge("jpeg-size:prefer=large", INCOMPRESSIBILITY),
}
WORLD_STEPS = 20
WORLD_SPEED = Speed(pair=0.11, draw=0.07, encode=0.0, score=0.0)
"""From `timing.jsonl` of the runs of docs/results/d3po.md: the fastest of four, a core shared with other work."""


def world() -> dict[str, OnlineTask]:
    """The tasks of `world.tasks.TASKS`, the simulated person's first."""
    return {name: _world(name) for name in tasks.TASKS}


def _world(name: str) -> OnlineTask:
    tree = tasks.tree(name)
    rank = tree.pop("adapter")["rank"]
    sampling: dict[str, Any] = {"steps": WORLD_STEPS, "guidance": tree["rollout"]["guidance"]}
    model = Model(str(BASE_MODEL), tree, rank, speed=WORLD_SPEED, draw_batch=50, **sampling)
    return OnlineTask(model, tasks.sampled, tasks.held_out, tuple(NAMES[spec] for spec in tasks.TASKS[name].scorers))


SIZE, CALLS = SIZES["sd15"], 20 * 2
"""Calls of the U-Net for an image: steps, with and without the prompt."""
SD15_SPEED = Speed(
    pair=SIZE.seconds(2 * CALLS * (SIZE.lora + SIZE.forward)),  # winner and loser, policy and reference
    draw=SIZE.seconds(CALLS * SIZE.forward),
    encode=0.0,
    score=0.0,
)
"""The autoencoder and the scorers are not counted."""
SD15: dict[str, Any] = {
    "dtype": "bfloat16",
    "method": {
        "evidence": {"kind": "transition", "reference": "base", "steps": None},
        "credit": {
            "when": {"kind": "uniform"},
            "weight": {"kind": "constant"},
            "correction": {"kind": "ratio-clip", "epsilon": 0.1},
        },
        "link": {"kind": "logistic", "beta": 0.2},
    },
    "rollout": {"images": 7, "steps": 20, "eta": 1.0, "guidance": 5.0, "dtype": "float32", "prompts_at_once": 1},
    "rounds": {"count": 20, "prompts": 32, "updates": 100, "pairs": "all", "steps_at_once": 4},
    "train": {"batch_size": 1, "accumulate": 1, "lr": 3e-5, "checkpoint_every": 50},
}
"""recipes/sd15/d3po-compressibility.yaml without its samples to look at."""
PAPER = {
    COMPRESSIBILITY: "jpeg-size:prefer=small",
    INCOMPRESSIBILITY: "jpeg-size:prefer=large",
    AESTHETICS: "aesthetic",
}
WATCH = Judge("clip", "CLIP")
"""It teaches nothing: what a reward costs shows here."""


def sd15(base: str, sampled: Prompts, test: Prompts) -> dict[str, OnlineTask]:
    """The paper's three rewards on Stable Diffusion 1.5, from the folder or hub id ``base``."""
    return {name: _sd15(name, spec, base, sampled, test) for name, spec in PAPER.items()}


def _sd15(name: str, spec: str, base: str, sampled: Prompts, test: Prompts) -> OnlineTask:
    tree = {**SD15, "feedback": {"kind": "scorer", "scorers": [spec]}}
    model = Model(base, tree, 64, 20, 5.0, SD15_SPEED, "bfloat16")
    return OnlineTask(model, sampled, test, (Judge(spec, name), WATCH))
