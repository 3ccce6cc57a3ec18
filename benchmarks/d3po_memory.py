"""Peak of what autograd keeps in a D3PO update against the number of denoising steps, as a picture.

    .venv/bin/python benchmarks/d3po_memory.py docs/images/d3po-memory.png

On the small world's model, one pair, winner and loser. "Through the chain" is the walk with its graph, which methods
that differentiate a reward must keep; "all steps at once" is one batch of a pair's steps.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from support.alive import Alive  # noqa: E402
from tastemaker.method.memory import Memory  # noqa: E402
from tastemaker.score.table import build  # noqa: E402
from tastemaker.train import d3po  # noqa: E402
from tastemaker.train.ranks import Ranks  # noqa: E402
from tastemaker.train.recipe import D3po  # noqa: E402
from tastemaker.train.run import Task  # noqa: E402
from tastemaker.train.signals import Stop  # noqa: E402
from tastemaker.train.step import step as judge  # noqa: E402
from tastemaker.world.assets import BASE_MODEL  # noqa: E402

STEPS = (5, 10, 20, 40, 80)
AT_ONCE = (1, 4)


def task(folder: Path, steps: int, at_once: int) -> Task:
    """A task whose first round is drawn."""
    (folder / "prompts.txt").write_text("a large red circle on a black background\n")
    recipe = D3po.model_validate(
        {
            "model": str(BASE_MODEL),
            "adapter": {"kind": "lora", "rank": 16},
            "rollout": {"prompts": str(folder / "prompts.txt"), "images": 2, "steps": steps, "guidance": 1.0},
            "rounds": {"count": 1, "prompts": 1, "updates": 1, "steps_at_once": at_once},
            "feedback": {"kind": "scorer", "scorers": ["jpeg-size"]},
            "train": {"batch_size": 1, "accumulate": 1},
            "out": str(folder / "run"),
        }
    )
    made = d3po.prepare(recipe, f"{steps}", ["a large red circle on a black background"], Ranks(), "cpu", build)
    made.source.supply(0, Stop())
    return made


def update(made: Task) -> float:
    """Megabytes at most while one pair is learned from."""
    memory = Memory(made.recipe.method, made.backbone.schedule, made.backbone.head, made.backbone.device)
    with Alive() as alive:
        for micro in made.source.micro_batches(0, 1, 1):
            for part in made.source.batches(micro):
                loss = judge(made.backbone, made.trainable, part, made.recipe.method, memory, 0).loss
                loss.sum().backward()
    return alive.most / 1e6


def chain(made: Task) -> float:
    """Megabytes at most when the whole walk of a pair keeps its graph."""
    sampler = made.source._studio.sampler  # type: ignore[attr-defined]
    condition = sampler.conditions(["a large red circle on a black background"] * 2)
    x = torch.randn(2, *sampler.shape)
    with Alive() as alive:
        for number in range(sampler.policy.grid.steps):
            x = sampler.policy(x, torch.full((2,), number), condition).sample(torch.zeros_like(x))
        x.sum().backward()
    return alive.most / 1e6


def main(picture: Path) -> None:
    """Measure and draw."""
    curves: dict[str, list[float]] = {f"D3PO, {at_once} steps at once": [] for at_once in AT_ONCE}
    curves |= {"D3PO, all steps at once": [], "through the chain": []}
    for steps in STEPS:
        for at_once, name in zip((*AT_ONCE, steps), list(curves)[:3], strict=True):
            with tempfile.TemporaryDirectory() as folder:
                made = task(Path(folder), steps, at_once)
                curves[name].append(update(made))
                if at_once == AT_ONCE[0]:
                    curves["through the chain"].append(chain(made))
    canvas = Figure(figsize=(6, 3.4), layout="constrained", dpi=110)
    axes = canvas.subplots()
    for name, values in curves.items():
        axes.plot(STEPS, values, marker="o", label=name)
        print(f"{name:<26}", " ".join(f"{value:8.1f}" for value in values))
    axes.set(xlabel="denoising steps", ylabel="peak kept by autograd, MB", xscale="log", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    canvas.savefig(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
