"""A small online run: a tiny model, a few prompts, and a scorer for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.models import save_tiny_sd
from tastemaker.score.table import build
from tastemaker.train.d3po import d3po
from tastemaker.train.recipe import D3po

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
