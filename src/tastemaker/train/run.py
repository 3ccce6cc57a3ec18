"""A run: what it works on, how far it is, and how both go into a checkpoint and come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tastemaker.base.errors import UserError
from tastemaker.method.memory import Memory
from tastemaker.train import average, checkpoint, optimizer, scaling
from tastemaker.train.checkpoint import Checkpoint, State
from tastemaker.train.log import Window
from tastemaker.train.ranks import Ranks
from tastemaker.train.recipe import NAME, difference, read_any

if TYPE_CHECKING:
    from torch.amp import GradScaler
    from torch.optim import Optimizer

    from tastemaker.backbone.adapter import Trainable
    from tastemaker.backbone.backbone import Backbone
    from tastemaker.train.recipe import D3po, Recipe
    from tastemaker.train.source import Source
    from tastemaker.train.validation import HeldOut


@dataclass(frozen=True)
class Task:
    """What a run works on; nothing of it changes while it runs, except the weights inside ``trainable``."""

    recipe: Recipe | D3po
    out: Path
    fingerprint: str
    backbone: Backbone
    trainable: Trainable
    source: Source
    ranks: Ranks = field(default_factory=Ranks)
    held_out: HeldOut | None = None

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.source.steps(self.recipe.train.pairs_a_step)


@dataclass
class Run:
    """How far a run is: everything that changes from step to step, besides the weights."""

    optimizer: Optimizer
    average: dict[str, Tensor] | None
    memory: Memory
    scaler: GradScaler
    step: int = 0
    pairs_seen: int = 0
    metrics_bytes: int = 0
    skipped_bytes: int = 0
    skips: int = 0
    """Steps that were skipped in a row, up to now."""
    saved: int | None = None
    window: Window = field(default_factory=Window)
    """This rank's."""


def resume(task: Task) -> Run:
    """The run as its newest whole checkpoint left it, or a fresh one.

    Raises:
        UserError: the checkpoint belongs to other settings or data.
    """
    parameters, settings = task.trainable.parameters, task.recipe.train
    memory = Memory(task.recipe.method, task.backbone.schedule, task.backbone.head, task.backbone.device)
    run = Run(
        optimizer=optimizer.make(parameters, settings),
        average=average.start(parameters) if settings.ema else None,
        memory=memory,
        scaler=scaling.make(task.recipe.dtype, task.backbone.device),
    )
    found = checkpoint.newest(task.out)
    if found is not None:
        _restore(task, run, found)
    return run


def snapshot(task: Task, run: Run, metrics_bytes: int) -> Checkpoint:
    """All that `resume` needs to go on as if nothing had happened; the tensors are the live ones, not copies.

    Every rank calls it, because the window of the line that is not full yet lies on all of them.
    """
    tensors: dict[str, dict[str, Tensor]] = {
        "weights": dict(task.trainable.parameters),
        "optimizer": optimizer.state_tensors(run.optimizer, task.trainable.parameters),
        "average": run.average or {},
        "scaler": scaling.tensors(run.scaler),
        "window": run.window.joint(task.ranks).sums,
        "memory": run.memory.tensors(),
    }
    state = State(run.step, run.pairs_seen, metrics_bytes, task.fingerprint, run.skipped_bytes, run.skips)
    return Checkpoint(state, tensors)


@torch.no_grad()
def _restore(task: Task, run: Run, found: Checkpoint) -> None:
    state, parameters = found.state, task.trainable.parameters
    if state.fingerprint != task.fingerprint:
        raise UserError(f"{task.out}: holds a stopped run of {_other(task)}; choose another out or remove it")
    for name, parameter in parameters.items():
        parameter.copy_(found.tensors["weights"][name])
    optimizer.load_state_tensors(run.optimizer, parameters, found.tensors["optimizer"])
    if run.average is not None:
        run.average = {name: found.tensors["average"][name].to(value.device) for name, value in run.average.items()}
    run.memory.load(found.tensors["memory"])
    scaling.load(run.scaler, found.tensors["scaler"])
    device = next(iter(parameters.values())).device
    if task.ranks.main:
        run.window = Window({name: value.to(device) for name, value in found.tensors["window"].items()})
    run.step = run.saved = state.step
    run.pairs_seen, run.metrics_bytes = state.pairs_seen, state.metrics_bytes
    run.skipped_bytes, run.skips = state.skipped_bytes, state.skips


def _other(task: Task) -> str:
    """How the run in the folder differs from the one that was asked for."""
    path = task.out / NAME
    change = difference(read_any(path), task.recipe) if path.exists() else None
    return change or "other data"
