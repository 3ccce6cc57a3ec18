"""What a finished run hands over: weights that diffusers loads, and a model card."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker import __version__
from tastemaker.base import files
from tastemaker.train import average
from tastemaker.train.card import NAME as CARD
from tastemaker.train.card import card
from tastemaker.train.log import METRICS

if TYPE_CHECKING:
    from tastemaker.train.run import Run, Task

LIBRARIES = ("torch", "diffusers", "transformers", "peft", "safetensors")


def export(task: Task, run: Run) -> Path:
    """Write the trained weights (their average when the recipe has one) and the model card; returns their path."""
    adapter = task.recipe.adapter
    with average.using(run.average, task.trainable.parameters):
        task.trainable.save(task.out)
    facts = {"steps": run.step, "pairs_seen": run.pairs_seen, "last": last_line(task.out), "versions": versions()}
    place = "." if adapter.export_format == "lora" else adapter.artifact
    files.write_text(task.out / CARD, card(task.recipe, facts, adapter.export_format, adapter.artifact, place))
    return task.out / adapter.artifact


def last_line(out: Path) -> dict[str, Any]:
    """The last line of metrics.jsonl."""
    lines = (out / METRICS).read_text(encoding="utf-8").splitlines()
    return json.loads(lines[-1]) if lines else {}


def versions() -> dict[str, str]:
    """The versions that made the weights."""
    return {"tastemaker": __version__} | {name: version(name) for name in LIBRARIES}
