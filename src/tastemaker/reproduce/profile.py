"""Where the papers' tables are made: all that differs between the embedded small world and the papers' own scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tastemaker.reproduce.arm import Arm

if TYPE_CHECKING:
    from tastemaker.reproduce.gallery import Gallery
    from tastemaker.reproduce.online import OnlineTask

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
class Room:
    """Bytes on disk: of an image in the cache (its share of the prompts included), of an image drawn, of a checkpoint.

    A checkpoint of a LoRA is that of the model's own rank.
    """

    cached: float
    drawn: float
    checkpoint: float


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
    room: Room = Room(0.0, 0.0, 0.0)
    """All 0 where disk space is not worth counting."""


@dataclass(frozen=True)
class Judge:
    """A scorer that reports: its ``spec``, its name in tables, and the largest difference that is a tie.

    Tables show its raw scores times ``scale``, as papers print some of them; ``about`` says what it looks at.
    """

    spec: str
    name: str
    epsilon: float = 0.0
    scale: float = 1.0
    about: str = ""


@dataclass(frozen=True)
class Profile:
    """One scale of the whole.

    ``data`` is what `import` reads (``split`` of a hub id), ``pairs`` and ``images`` how many there are, for the list
    of costs. ``rankers`` are the scorers that may rank, by the name that arms use; ``judges`` report. Of each run's
    ``checkpoints`` evenly spaced ones the best by ``chosen_by`` (a judge) on the ``tune`` prompts is reported on the
    ``test`` prompts, and no prompt is in both. ``budget`` is the number of pairs that a run reads, with repetition.
    ``candidates`` are the settings that are tried for an arm, in the order of trial (one means that nothing is tuned);
    ``faster`` is the rate that the best of them is tried with at last, where they all have one rate.
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
    cut: Callable[[float], Mapping[str, float]]
    """From a share that is used here to the fields of `rank.ranking.Cut`."""
    ranks: Mapping[int, int]
    """From a LoRA rank of the paper to the one used here."""
    best: float = 0.0533
    """Share of the best pairs in the paper, where a table names none."""
    papers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Paper → the models that its tables show, where they are not all."""
    basis: Mapping[str, str] = field(default_factory=dict)
    """What the list of costs rests on, as in "measured" → which figures."""

    once: Callable[[Arm], bool] = lambda _: False
    """Whether a run stops when it has read all its pairs once, though its budget may be larger (ties are no pairs)."""

    online: Mapping[str, OnlineTask] = field(default_factory=dict)
    """Name → what D3PO learns from fresh samples."""

    groups: Callable[[], Mapping[str, str]] = dict
    """Test prompt → its group; a study with people asks about equally many of each. Empty: prompts are drawn of all."""

    gallery: Gallery | None = None
    """Of what the Inception Score is; the small world has its own."""

    safety: str = ""
    """What tells unsafe images, as `tastemaker evaluate --safety` takes it; empty: nothing does."""

    def of(self, paper: str) -> Profile:
        """The same profile with the models of ``paper`` alone, in its order."""
        names = self.papers.get(paper, tuple(self.models))
        return replace(self, models={name: self.models[name] for name in names})

    def first_like(self, model: str) -> str:
        """The first model with the same weights before training: all of these share its cache and its base images."""
        base = self.models[model].base
        return next(name for name, other in self.models.items() if other.base == base)

    def judge(self, name: str) -> Judge:
        """The judge with this name."""
        return next(judge for judge in self.judges if judge.name == name)
