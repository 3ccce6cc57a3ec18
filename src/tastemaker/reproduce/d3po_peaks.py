"""What autograd keeps of a D3PO step against the number of denoising steps, next to a walk that keeps its graph.

One pair, winner and loser. "Through the chain" is what a method must hold that differentiates a reward with respect to
the image: the whole walk. D3PO (arXiv 2311.13231) judges each step by itself and does not need it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import write_text

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.reproduce.online import OnlineTask
    from tastemaker.rollout.rounds import Build
    from tastemaker.train.recipe import D3po
    from tastemaker.train.run import Task

STEPS = (5, 10, 20, 40, 80)
ONE, FOUR, ALL, CHAIN = (
    "D3PO, one step at once",
    "D3PO, four steps at once",
    "D3PO, all steps at once",
    "through the chain",
)
AT_ONCE = {ONE: 1, FOUR: 4, ALL: max(STEPS)}


class Alive:
    """Bytes that autograd holds inside the block: ``now``, and at ``most``. What a view shares counts each time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __enter__(self) -> Alive:
        import torch

        self._hooks = torch.autograd.graph.saved_tensors_hooks(lambda tensor: _Held(self, tensor), _Held.open)
        self._hooks.__enter__()
        return self

    def __exit__(self, *rest: Any) -> None:
        self._hooks.__exit__(*rest)


@dataclass(eq=False)
class _Held:
    """A tensor that a backward pass waits for; counted as long as it lives."""

    alive: Alive
    tensor: Tensor

    def __post_init__(self) -> None:
        self.size = self.tensor.numel() * self.tensor.element_size()
        self.alive.now += self.size
        self.alive.most = max(self.alive.most, self.alive.now)

    def __del__(self) -> None:
        self.alive.now -= self.size

    def open(self) -> Tensor:
        return self.tensor


def measure(of: OnlineTask, build: Build, steps: tuple[int, ...] = STEPS) -> dict[str, Any]:
    """Peaks in bytes by name of the line, one a number of ``steps``; None where the device's memory does not do."""
    peaks: dict[str, list[int | None]] = {name: [] for name in (*AT_ONCE, CHAIN)}
    for count in steps:
        for name, at_once in AT_ONCE.items():
            peaks[name].append(_measured(of, count, min(at_once, count), build, update))
        peaks[CHAIN].append(_measured(of, count, 1, build, chain))
    return {"steps": list(steps), "rank": of.model.rank, "device": _device(), "peaks": peaks}


def update(made: Task) -> None:
    """Learn from one pair, all its steps."""
    from tastemaker.method.memory import Memory
    from tastemaker.train.step import step

    method, backbone = made.recipe.method, made.backbone
    memory = Memory(method, backbone.schedule, backbone.head, backbone.device)
    for micro in made.source.micro_batches(0, 1, 1):
        for part in made.source.batches(micro):
            step(backbone, made.trainable, part, method, memory, 0).loss.sum().backward()


def chain(made: Task) -> None:
    """Walk a pair of images and differentiate the last latents."""
    import torch

    from tastemaker.base import draw
    from tastemaker.rollout.sampling import make_sampler
    from tastemaker.train.recipe import D3po

    assert isinstance(made.recipe, D3po)
    sampler = make_sampler(made.backbone, made.recipe.rollout, made.recipe.train.seed)
    device = made.backbone.device
    condition = {name: rows.to(device) for name, rows in sampler.conditions([PROMPT] * 2).items()}
    x = draw.normal((2, *sampler.shape), "memory").to(device)
    for number in range(sampler.policy.grid.steps):
        x = sampler.policy(x, torch.full((2,), number), condition).sample(torch.zeros_like(x))
    x.sum().backward()


def _device() -> str:
    from tastemaker.backbone.load import named_device

    return named_device("auto").type


PROMPT = "a large red circle on a black background"
"""What is drawn does not matter to the peak."""


def _measured(of: OnlineTask, steps: int, at_once: int, build: Build, work: Callable[[Task], None]) -> int | None:
    import torch

    with tempfile.TemporaryDirectory() as folder:
        try:
            made = _prepared(_recipe(of, Path(folder), steps, at_once), build)
            with Alive() as alive:
                work(made)
        except torch.OutOfMemoryError:
            return None
        return alive.most


def _prepared(recipe: D3po, build: Build) -> Task:
    """A run whose first round is drawn."""
    from tastemaker.train import d3po
    from tastemaker.train.ranks import Ranks
    from tastemaker.train.signals import Stop

    made = d3po.prepare(recipe, "memory", [PROMPT], Ranks(), recipe.train.device, build)
    made.source.supply(0, Stop())
    return made


def _recipe(of: OnlineTask, folder: Path, steps: int, at_once: int) -> D3po:
    """One pair of one round, by the task's model and guidance; D3PO's own method, which reads every step."""
    from tastemaker.train.recipe import D3po

    write_text(folder / "prompts.txt", PROMPT + "\n")
    model = of.model
    rollout = {"prompts": str(folder / "prompts.txt"), "images": 2, "steps": steps}
    return D3po.model_validate(
        {
            "model": model.base,
            "dtype": model.dtype,
            "adapter": {"kind": "lora", "rank": model.rank},
            "rollout": {**rollout, "guidance": model.tree["rollout"]["guidance"]},
            "rounds": {"count": 1, "prompts": 1, "updates": 1, "steps_at_once": at_once},
            "feedback": {"kind": "scorer", "scorers": ["jpeg-size"]},
            "train": {"batch_size": 1, "accumulate": 1},
            "out": str(folder / "run"),
        }
    )
