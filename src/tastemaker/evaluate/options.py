"""What `evaluate` was asked for, checked and spelled out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from tastemaker.evaluate.classifier import Classifier
    from tastemaker.evaluate.safety import Safety
    from tastemaker.score.scorer import Scorer

MEDIAN = "median"
T = TypeVar("T")


@dataclass(frozen=True)
class Judges:
    """Who looks at the images."""

    scorers: Sequence[Scorer]
    embedding: Scorer | None = None
    """Whose trunk's embeddings tell how alike two images are."""
    classifier: Classifier | None = None
    """For the Inception Score."""
    safety: Safety | None = None

    def __post_init__(self) -> None:
        if self.embedding and not hasattr(self.embedding, "trunk"):
            raise UserError(f"--embedding {self.embedding.id}: compares in no space of its own; try clip or pickscore")

    def identity(self) -> dict[str, Any]:
        """What decides their figures, but for the scorers, which `Options` names."""
        return {
            "embedding": self.embedding.trunk.id if self.embedding else None,  # type: ignore[attr-defined]
            "classifier": self.classifier.id if self.classifier else None,
            "safety": self.safety.identity() if self.safety else None,
        }


@dataclass(frozen=True)
class Options:
    """Names and numbers as ``metrics.json`` records them; scorers are ids."""

    models: tuple[str, ...]
    """The first is the base."""
    scorers: tuple[str, ...]
    epsilon: dict[str, float]
    """Scorer → largest difference that is a tie."""
    trained_with: tuple[str, ...] = ()
    choose: str | None = None
    """The scorer by which one sample of each prompt is chosen."""
    splits: int = 10
    resamples: int = 10_000
    confidence: float = 0.95
    bootstrap_seed: int = 0

    @property
    def base(self) -> str:
        """The model that the others are compared with."""
        return self.models[0]

    @property
    def statistics(self) -> dict[str, Any]:
        """What every bootstrap is told."""
        return {"resamples": self.resamples, "confidence": self.confidence, "seed": self.bootstrap_seed}

    def recorded(self) -> dict[str, Any]:
        """The keys of ``metrics.json`` that repeat what was asked for."""
        names = {"models": list(self.models), "scorers": list(self.scorers), "epsilon": self.epsilon}
        numbers = {"resamples": self.resamples, "confidence": self.confidence, "bootstrap_seed": self.bootstrap_seed}
        chosen = f"{MEDIAN}:{self.choose}" if self.choose else None
        return names | {"trained_with": list(self.trained_with)} | numbers | {"choose": chosen}


def read(
    images: Sequence[Path],
    judges: Judges,
    *,
    names: Sequence[str] | None,
    epsilon: Mapping[str, float] | None,
    trained_with: Sequence[str],
    choose: str | None,
    splits: int,
    resamples: int,
    confidence: float,
    seed: int,
) -> Options:
    """The options of `evaluation.evaluate`; raises `UserError` naming the one that does not fit."""
    if not images:
        raise UserError("evaluate: no images given; give the output folders of `tastemaker generate`, the base first")
    ids = _distinct("scorer", [scorer.id for scorer in judges.scorers])
    return Options(
        models=_distinct("model name", list(names or [folder.resolve().name for folder in images]), len(images)),
        scorers=ids,
        epsilon=dict.fromkeys(ids, 0.0) | _by_id("--epsilon", _not_negative("--epsilon", epsilon or {}), ids),
        trained_with=tuple(sorted(_by_id("--trained-with", dict.fromkeys(trained_with, True), ids))),
        choose=_chosen(choose, ids) if choose else None,
        splits=at_least_one("--splits", splits),
        resamples=at_least_one("--resamples", resamples),
        confidence=_share("--confidence", confidence),
        bootstrap_seed=seed,
    )


def check_counts(options: Options, judges: Judges, prompts: int, samples: int) -> None:
    """Raises `UserError` for an option that these numbers of prompts and samples do not allow."""
    if options.choose and samples == 1:
        raise UserError(
            f"--choose {MEDIAN}:{options.choose}: there is one sample a prompt; generate with --samples 5, or leave it"
        )
    if judges.classifier and options.splits > prompts * samples:
        raise UserError(f"--splits {options.splits}: there are {prompts * samples} images a model; give at most that")


def at_least_one(name: str, value: int) -> int:
    """``value``, if it is; raises `UserError` with the option's ``name``."""
    if value < 1:
        raise UserError(f"{name} {value}: must be at least 1")
    return value


def _distinct(what: str, values: list[str], count: int | None = None) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise UserError(f"{what} {max(values, key=values.count)!r} is given twice; name the models with --names")
    if not values or count not in (None, len(values)):
        raise UserError(f"{len(values)} {what}s given, {count or 'at least 1'} needed; give one for each")
    return tuple(values)


def _not_negative(name: str, values: Mapping[str, float]) -> Mapping[str, float]:
    for scorer, value in values.items():
        if not value >= 0:
            raise UserError(f"{name} {scorer} {value}: a difference cannot be negative; 0 counts none as a tie")
    return values


def _share(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise UserError(f"{name} {value}: must be between 0 and 1, such as 0.95")
    return value


def _chosen(choose: str, ids: Sequence[str]) -> str:
    """The id of the scorer in ``median:SCORER``."""
    kind, colon, scorer = choose.partition(":")
    if kind != MEDIAN or not (colon and scorer):
        raise UserError(f"--choose {choose}: not understood; write {MEDIAN}:SCORER, such as {MEDIAN}:pickscore")
    found = list(_by_id("--choose", {scorer: True}, ids))
    if len(found) > 1:
        raise UserError(f"--choose {choose}: means {' and '.join(found)}; give one of these ids")
    return found[0]


def _by_id(option: str, values: Mapping[str, T], ids: Sequence[str]) -> dict[str, T]:
    """``values`` of scorers named by id or by the part before the @, as a table by id."""
    found: dict[str, T] = {}
    for name, value in values.items():
        matches = [scorer for scorer in ids if name in (scorer, scorer.partition("@")[0])]
        if not matches:
            raise UserError(f"{option} {name}: no such scorer here; give one of {', '.join(ids)}")
        found |= dict.fromkeys(matches, value)
    return found
