"""A small online run: a tiny model, a few prompts, and a scorer for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.models import save_tiny_sd
from tastemaker.score.table import build
from tastemaker.train.d3po import d3po, prepare
from tastemaker.train.recipe import D3po

if TYPE_CHECKING:
    import torch

    from tastemaker.train.run import Task

PROMPTS = ["a red circle", "a blue square", "two green stars", "a yellow cross", "a small dot"]


def make_tree(folder: Path, model: Path | None = None) -> dict[str, Any]:
    """Write a model and prompts under ``folder``; returns a recipe's tree, without ``out``."""
    model = model or save_tiny_sd(folder / "model", tiny_vae=True)
    (folder / "prompts.txt").write_text("\n".join(PROMPTS) + "\n")
    return {
        "model": str(model),
        "adapter": {"kind": "lora", "rank": 2, "alpha": 4},
        "rollout": {
            "prompts": str(folder / "prompts.txt"),
            "images": 3,
            "steps": 4,
            "guidance": 1.5,
            "prompts_at_once": 2,
        },
        "rounds": {"count": 3, "prompts": 3, "updates": 2, "steps_at_once": 2},
        "feedback": {"kind": "scorer", "scorers": ["jpeg-size"]},
        "train": {"batch_size": 2, "accumulate": 2, "lr": 1e-3, "log_every": 1, "checkpoint_every": 1},
    }


def recipe_of(tree: dict[str, Any], out: Path, **sections: dict[str, Any]) -> D3po:
    """The recipe of ``tree`` with some fields of its ``sections`` changed."""
    changed = {name: {**tree.get(name, {}), **fields} for name, fields in sections.items()}
    return D3po.model_validate(tree | changed | {"out": str(out)})


def run(tree: dict[str, Any], out: Path, **sections: dict[str, Any]) -> dict[str, Any]:
    """Train and return the summary."""
    return d3po(recipe_of(tree, out, **sections), build)


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def prepared(tree: dict[str, Any], out: Path, **sections: Any) -> Task:
    """A task whose first round is loaded."""
    from tastemaker.train.ranks import Ranks
    from tastemaker.train.signals import Stop

    task = prepare(recipe_of(tree, out, **sections), "mark", PROMPTS, Ranks(), "cpu", build)
    assert task.source.supply(0, Stop()) is not None
    return task


def shift(task: Task, size: float = 0.05) -> None:
    """Weights that are not the reference's."""
    import torch

    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in task.trainable.parameters.values():
            parameter.add_(size * torch.randn(parameter.shape, generator=random))


def outcomes(task: Task, step: int = 0) -> list[Any]:
    """(batch, outcome) of every part of an optimizer step."""
    from tastemaker.method.memory import Memory
    from tastemaker.train.step import step as judge

    method, backbone = task.recipe.method, task.backbone
    memory = Memory(method, backbone.schedule, backbone.head, backbone.device)
    settings = task.recipe.train
    micros = task.source.micro_batches(step, settings.batch_size, settings.accumulate)
    parts = [part for micro in micros for part in task.source.batches(micro)]
    return [(part, judge(backbone, task.trainable, part, method, memory, 0)) for part in parts]


def gradients(task: Task) -> dict[str, torch.Tensor]:
    """Of the first optimizer step, as the loop adds them up."""
    for parameter in task.trainable.parameters.values():
        parameter.grad = None
    pairs = task.recipe.train.pairs_a_step
    for part, outcome in outcomes(task):
        (outcome.loss.sum() * part.share / pairs).backward()
    return {name: parameter.grad.clone() for name, parameter in task.trainable.parameters.items()}  # type: ignore[union-attr]
