"""Where the papers' tables are made: all that differs between the embedded small world and the papers' own scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tastemaker.reproduce.arm import Arm

Settings = Mapping[str, float]
"""What may be tuned: `lr`, and the link's strength under the name of its field."""


@dataclass(frozen=True)
class Speed:
    """Seconds on the profile's machine, for the list of costs: a pair in training, an image drawn, encoded, scored."""

    pair: float
    draw: float
    encode: float
    score: float


@dataclass(frozen=True)
class Model:
    """A base model: ``base`` is a folder or hub id, ``tree`` a recipe without pairs, cache, method, seed and out.

    ``guidance`` and ``steps`` are those of evaluation; ``rank`` is the LoRA rank where an arm names none.
    """

    base: str
    tree: Mapping[str, Any]
    rank: int
    steps: int
    guidance: float
    speed: Speed
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    draw_batch: int = 16


@dataclass(frozen=True)
class Judge:
    """A scorer that reports: its ``spec``, its name in tables, and the largest difference that is a tie."""

    spec: str
    name: str
    epsilon: float = 0.0


@dataclass(frozen=True)
class Profile:
    """One scale of the whole.

    ``data`` is what `import` reads (``split`` of a hub id), ``pairs`` and ``images`` how many there are, for the list
    of costs. ``rankers`` are the scorers that may rank, by the name that arms use; ``judges`` report. Of each run's
    ``checkpoints`` evenly spaced ones the best by ``chosen_by`` (a judge) on the ``tune`` prompts is reported on the
    ``test`` prompts, and no prompt is in both. ``budget`` is the number of pairs that a run reads, with repetition.
    ``candidates`` are the settings that are tried for an arm, in the order of trial (one means that nothing is tuned);
    ``faster`` is the rate that the best of them is tried with at last.
    """

    name: str
    data: str
    split: str | None
    pairs: int
    images: int
    models: Mapping[str, Model]
    rankers: Mapping[str, str]
    judges: tuple[Judge, ...]
    chosen_by: str
    tune: Callable[[], list[str]]
    test: Callable[[], list[str]]
    budget: Callable[[Arm], int]
    checkpoints: int
    candidates: Callable[[Arm], list[Settings]]
    faster: float | None
    devices: str
    """What costs are of, as in "one core" or "one H100"."""
    share: Callable[[float], float]
    """From a share of the pairs in the paper to the one used here."""
    ranks: Mapping[int, int]
    """From a LoRA rank of the paper to the one used here."""
    best: float = 0.0533
    """Share of the best pairs in the paper, where a table names none."""

    def judge(self, name: str) -> Judge:
        """The judge with this name."""
        return next(judge for judge in self.judges if judge.name == name)
