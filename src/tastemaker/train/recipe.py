"""A recipe: everything that decides a training run, as one frozen value that a YAML file spells out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, model_validator

from tastemaker.backbone.choice import Adapter
from tastemaker.base.config import apply_overrides, read_yaml, validate
from tastemaker.method.method import Method
from tastemaker.train.config import FROZEN, Card, Data, Settings

NAME = "recipe.yaml"
"""The resolved recipe in a run's folder."""
INDIFFERENT = {"device", "checkpoint_every", "keep_checkpoints"}
"""Training settings that change neither weights nor metrics."""


class Recipe(BaseModel):
    """Model × data × adapter × method × training settings. Relative paths start at the current directory."""

    model_config = FROZEN

    model: str
    """Diffusers model to start from: a folder or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number format of the frozen weights; LoRA weights are float32 in any case."""
    data: Data
    adapter: Adapter
    method: Method
    train: Settings = Settings()
    card: Card = Card()
    out: str
    """Folder of the run; made when missing."""

    @model_validator(mode="after")
    def _possible(self) -> Recipe:
        if self.dtype not in self.adapter.dtypes:
            raise ValueError(
                f"adapter.kind: {self.adapter.kind} trains float32 weights, which dtype: {self.dtype} would round "
                "before the start; set dtype: float32 or adapter.kind: lora"
            )
        ranked = [("data.pairs", source.pairs) for source in self.data.sources]
        ranked += [("data.validation", self.data.validation)] if self.data.validation else []
        for name, folder in (*ranked, ("data.cache", self.data.cache), ("model", self.model)):
            if Path(self.out).resolve() == Path(folder).resolve():
                raise ValueError(f"out: {self.out} is also {name}; give the run a folder of its own")
        return self

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result; the others may change when a stopped run goes on."""
        return self.model_dump(mode="json", exclude={"out": True, "card": True, "train": INDIFFERENT})


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML file with ``--train.lr 1e-4`` style overrides.

    Raises:
        UserError: one line with the file, the field's path, its value and the way out.
    """
    return validate(Recipe, apply_overrides(read_yaml(path), overrides), path)


def difference(old: Recipe, new: Recipe) -> str | None:
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
