"""What a finished run hands over: weights that diffusers loads, and a model card."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker import __version__
from tastemaker.base import files
from tastemaker.train import average
from tastemaker.train.log import METRICS
from tastemaker.train.recipe import flat

if TYPE_CHECKING:
    from tastemaker.train.recipe import Recipe
    from tastemaker.train.run import Run, Task

CARD = "README.md"
LORA, PIPELINE = "pytorch_lora_weights.safetensors", "model"
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "safetensors")


def export(task: Task, run: Run) -> Path:
    """Write the trained weights (their average when the recipe has one) and the model card; returns their path."""
    with average.using(run.average, task.trainable.parameters):
        task.trainable.save(task.out)
    files.write_text(task.out / CARD, card(task.recipe, last_line(task.out), run.step, run.pairs_seen))
    return task.out / task.recipe.adapter.artifact


def last_line(out: Path) -> dict[str, Any]:
    """The last line of metrics.jsonl."""
    lines = (out / METRICS).read_text(encoding="utf-8").splitlines()
    return json.loads(lines[-1]) if lines else {}


def versions() -> dict[str, str]:
    """The versions that made the weights."""
    return {"tastemaker": __version__} | {name: version(name) for name in LIBRARIES}


def card(recipe: Recipe, metrics: dict[str, Any], steps: int, pairs_seen: int) -> str:
    """The model card (Markdown with the hub's YAML header)."""
    lora = recipe.adapter.kind == "lora"
    return CARD_TEXT.format(
        base=recipe.model,
        kind="lora" if lora else "full-finetuning",
        what="A LoRA adapter" if lora else "A full fine-tuning",
        usage=(LORA_USAGE if lora else PIPELINE_USAGE).format(base=recipe.model, file=LORA, folder=PIPELINE),
        pairs=recipe.data.folders,
        order=recipe.data.order,
        pairs_seen=pairs_seen,
        steps=steps,
        settings=_table(flat(recipe.model_dump(mode="json"))),
        metrics=_table(metrics) if metrics else "none logged",
        versions=_table(versions()),
        average="The weights are the moving average over the run.\n" if recipe.train.ema else "",
    )


def _table(rows: dict[str, Any]) -> str:
    cells = (f"| {name} | {_cell(value)} |" for name, value in rows.items())
    return "\n".join(["| | |", "| --- | --- |", *cells])


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "\\|").split())


LORA_USAGE = """\
pipe = DiffusionPipeline.from_pretrained("{base}")
pipe.load_lora_weights(".", weight_name="{file}")"""

PIPELINE_USAGE = """\
pipe = DiffusionPipeline.from_pretrained("{folder}")"""

CARD_TEXT = """\
---
base_model: {base}
library_name: diffusers
pipeline_tag: text-to-image
tags:
- preference
- tastemaker
- {kind}
---
# {base}, tuned on preferences

{what} of `{base}`, trained with [Tastemaker](recipe.yaml) on pairs of images of which one was liked better.
{average}
```python
from diffusers import DiffusionPipeline

{usage}
image = pipe("a photo of a fox in the snow").images[0]
```

## Data

{pairs_seen} pairs of `{pairs}` in {order} order, {steps} optimizer steps.

## Metrics at the end of training

{metrics}

## Settings

{settings}

## Versions

{versions}
"""
