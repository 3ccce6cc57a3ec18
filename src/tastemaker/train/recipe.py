"""A recipe: everything that decides a training run, as one frozen value that a YAML file spells out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, model_validator

from tastemaker.backbone.choice import UNGUIDED, Adapter
from tastemaker.base.config import apply_overrides, read_yaml, validate
from tastemaker.base.errors import UserError
from tastemaker.method.clip import RatioClip
from tastemaker.method.evidence import DENOISING, TRANSITION, Transition
from tastemaker.method.method import Credit, Method
from tastemaker.method.pairwise import Logistic
from tastemaker.rollout.config import Rollout, Rounds
from tastemaker.rollout.feedback import Feedback
from tastemaker.train.config import FROZEN, Card, Data, Settings

NAME = "recipe.yaml"
"""The resolved recipe in a run's folder."""
INDIFFERENT = {"device", "checkpoint_every", "keep_checkpoints"}
"""Training settings that change neither weights nor metrics."""
WAITING = {"wait", "poll_seconds"}
"""The same of feedback."""


def d3po() -> Method:
    """D3PO as published: β = 0.1 on whole logits, which is 0.2 on this link's halves; ε = 0.1."""
    return Method(evidence=Transition(), credit=Credit(correction=RatioClip()), link=Logistic(beta=0.2))


class Shared(BaseModel):
    """What every run needs, whatever it learns from. Relative paths start at the current directory."""

    model_config = FROZEN

    model: str
    """Diffusers model to start from: a folder or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number format of the frozen weights; LoRA weights are float32 in any case."""
    adapter: Adapter
    method: Method
    train: Settings = Settings()
    card: Card = Card()
    out: str
    """Folder of the run; made when missing."""

    @model_validator(mode="after")
    def _possible(self) -> Shared:
        if self.dtype not in self.adapter.dtypes:
            raise ValueError(
                f"adapter.kind: {self.adapter.kind} trains float32 weights, which dtype: {self.dtype} would round "
                "before the start; set dtype: float32 or adapter.kind: lora"
            )
        self._own_folder([("model", self.model)])
        return self

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result; the others may change when a stopped run goes on."""
        hidden: dict[str, Any] = {"out": True, "card": True, "train": INDIFFERENT}
        hidden |= {"rounds": {"keep"}, "feedback": WAITING}
        return self.model_dump(mode="json", exclude=hidden)

    def _own_folder(self, others: Sequence[tuple[str, str]]) -> None:
        for name, folder in others:
            if Path(self.out).resolve() == Path(folder).resolve():
                raise ValueError(f"out: {self.out} is also {name}; give the run a folder of its own")


class Recipe(Shared):
    """Model × ranked pairs × adapter × method × training settings."""

    data: Data

    @property
    def images_at_once(self) -> int:
        """Images in one forward pass that is differentiated: winners and losers of a micro-batch."""
        return self.train.batch_size * (2 if self.method.needs_loser else 1)

    @model_validator(mode="after")
    def _of_pairs(self) -> Recipe:
        if self.method.evidence.kind != DENOISING:
            raise ValueError(
                f"method.evidence.kind: {self.method.evidence.kind} needs fresh samples; give rollout, rounds and "
                "feedback in place of data, and run it with tastemaker d3po"
            )
        ranked = [("data.pairs", source.pairs) for source in self.data.sources]
        ranked += [("data.validation", self.data.validation)] if self.data.validation else []
        self._own_folder([*ranked, ("data.cache", self.data.cache)])
        return self


class D3po(Shared):
    """Model × adapter × method × training settings, with comparisons of images that the model has just drawn."""

    method: Method = Field(default_factory=d3po)
    rollout: Rollout
    rounds: Rounds = Rounds()
    feedback: Feedback

    @property
    def images_at_once(self) -> int:
        """Images in one forward pass that is differentiated: so many steps of winners and losers, guided or not."""
        passes = 1 if self.rollout.guidance == UNGUIDED else 2
        return self.train.batch_size * (2 if self.method.needs_loser else 1) * self.rounds.steps_at_once * passes

    @model_validator(mode="after")
    def _of_rounds(self) -> D3po:
        if self.method.evidence.kind != TRANSITION:
            raise ValueError(
                f"method.evidence.kind: {self.method.evidence.kind} reads ranked pairs, not rounds; set it to "
                f"{TRANSITION}, or train on what the rounds leave with tastemaker train"
            )
        if self.train.drop_caption:
            raise ValueError("train.drop_caption: a sampled step has its prompt; set it to 0")
        return self


R = TypeVar("R", bound=Shared)


def read_recipe(path: Path, overrides: Sequence[str] = (), kind: type[R] = Recipe) -> R:  # type: ignore[assignment]
    """The recipe in a YAML file with ``--train.lr 1e-4`` style overrides.

    Raises:
        UserError: one line with the file, the field's path, its value and the way out.
    """
    tree = apply_overrides(read_yaml(path), overrides)
    found = kind_of(tree)
    if found is not kind:
        verbs = {Recipe: "train", D3po: "d3po"}
        raise UserError(f"{path}: a recipe of tastemaker {verbs[found]}, not of tastemaker {verbs[kind]}")
    return validate(kind, tree, path)


def read_any(path: Path, overrides: Sequence[str] = ()) -> Recipe | D3po:
    """The recipe of either kind in a YAML file."""
    tree = apply_overrides(read_yaml(path), overrides)
    return validate(kind_of(tree), tree, path)


def kind_of(tree: Mapping[str, Any]) -> type[Recipe] | type[D3po]:
    """What a recipe is a recipe of."""
    return D3po if "rollout" in tree or "feedback" in tree else Recipe


def difference(old: Shared, new: Shared) -> str | None:
    """The first deciding field in which two recipes differ, as ``train.lr: 0.0001 (now 0.001)``."""
    before, after = flat(old.identity()), flat(new.identity())
    changed = (name for name in {**before, **after} if before.get(name) != after.get(name))
    return next((f"{name}: {before.get(name)} (now {after.get(name)})" for name in changed), None)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted name → value."""
    rows: dict[str, Any] = {}
    for name, value in tree.items():
        rows |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return rows
