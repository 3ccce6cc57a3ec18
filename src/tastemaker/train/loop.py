"""The training loop: it knows steps, pairs and files, but neither the method nor the model.

A step reads `accumulate` micro-batches, whose gradients add up to the big batch's, and moves the weights once.
Every draw is keyed by (seed, pair id, visit), so a run that stops anywhere and goes on from its last
checkpoint ends in the same weights, optimizer state and metrics.jsonl, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tastemaker.train.batch import make_batch
from tastemaker.train.step import step as method_step
from torch import Tensor

from tastemaker.base.errors import Interrupted, UserError
from tastemaker.base.progress import bar
from tastemaker.train import average, checkpoint, export, optimizer, samples
from tastemaker.train.checkpoint import Checkpoint, State
from tastemaker.train.log import Log, Window
from tastemaker.train.recipe import difference, read_recipe
from tastemaker.train.signals import Stop, stopping

if TYPE_CHECKING:
    from tastemaker.encode.cache import Cache
    from torch.optim import AdamW
    from tqdm import tqdm

    from tastemaker.backbone.adapter import Trainable
    from tastemaker.backbone.backbone import Backbone
    from tastemaker.train.order import Micro, Reading
    from tastemaker.train.recipe import Recipe

SHOWN = ("loss", "accuracy")
MEANS = {"correct": "accuracy"}
"""What the mean of a figure is called, where it has a name of its own."""


@dataclass(frozen=True)
class Task:
    """What a run works on; nothing of it changes while it runs, except the weights inside ``trainable``."""

    recipe: Recipe
    out: Path
    fingerprint: str
    backbone: Backbone
    trainable: Trainable
    cache: Cache
    reading: Reading

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.reading.steps(self.recipe.train.pairs_a_step)


@dataclass
class Run:
    """How far a run is: everything that changes from step to step, besides the weights."""

    optimizer: AdamW
    average: dict[str, Tensor] | None
    step: int = 0
    pairs_seen: int = 0
    metrics_bytes: int = 0
    saved: int | None = None
    window: Window = field(default_factory=Window)


def finish(task: Task, run: Run) -> None:
    """Train from where ``run`` stands to the end.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint was saved.
        UserError: the loss is not finite, or nothing can be written; the last good checkpoint is intact.
    """
    opened = Log(task.out, run.step, run.pairs_seen, run.metrics_bytes)
    with opened as log, stopping() as stop, _bar(task, run) as progress:
        if run.step == 0:
            _sample(task, run, log)
        while run.step < task.steps and advance(task, run, stop):
            _report(task, run, log, progress)
        _save(task, run, log)
    if stop.signum is not None:
        raise Interrupted(stop.signum)


def resume(task: Task) -> Run:
    """The run as its newest whole checkpoint left it, or a fresh one.

    Raises:
        UserError: the checkpoint belongs to other settings or data.
    """
    parameters, settings = task.trainable.parameters, task.recipe.train
    run = Run(optimizer.adamw(parameters, settings), average.start(parameters) if settings.ema else None)
    found = checkpoint.newest(task.out)
    if found is not None:
        _restore(task, run, found)
    return run


def advance(task: Task, run: Run, stop: Stop) -> bool:
    """One optimizer step; False when a signal came before all its micro-steps were done.

    The gradients of an unfinished step are dropped: they are drawn again, the same, after the resume.
    """
    settings = task.recipe.train
    micro_batches = task.reading.micro_batches(run.step, settings.batch_size, settings.accumulate)
    pairs = sum(len(micro.pairs) for micro in micro_batches)
    sums = Window()
    for micro in micro_batches:
        if stop.signum is not None:
            run.optimizer.zero_grad(set_to_none=True)
            return False
        _micro_step(task, micro, pairs, sums)
    norm = optimizer.update(run.optimizer, task.trainable.parameters, run.step, settings)
    run.step, run.pairs_seen = run.step + 1, run.pairs_seen + pairs
    sums.add("gradient_norm", norm * pairs)
    run.window.extend(sums, pairs)
    if run.average is not None:
        average.update(run.average, task.trainable.parameters, run.step, settings.ema)
    return True


def _micro_step(task: Task, micro: Micro, pairs: int, sums: Window) -> None:
    """Add this micro-batch's share of the step's gradient: the mean over ``pairs`` pairs."""
    seed = task.recipe.train.seed
    batch = make_batch(micro.pairs, micro.visits, task.cache, seed, drop_caption=task.recipe.train.drop_caption)
    outcome = method_step(task.backbone, task.trainable, batch, task.recipe.method, seed)
    (outcome.loss.sum() / pairs).backward()
    sums.add("loss", outcome.loss.sum())
    for name, value in outcome.stats.items():
        sums.add(MEANS.get(name, name), value.sum())


def _report(task: Task, run: Run, log: Log, progress: tqdm[None]) -> None:
    """After a step: the bar, and whatever is due of a line of metrics, a sample grid and a checkpoint."""
    settings = task.recipe.train
    last = run.step == task.steps
    progress.update(run.pairs_seen - progress.n)
    if run.step % settings.log_every == 0 or last:
        _write_line(task, run, log, progress)
    if settings.sample_every and (run.step % settings.sample_every == 0 or last):
        _sample(task, run, log)
    if settings.checkpoint_every and run.step % settings.checkpoint_every == 0:
        _save(task, run, log)


def _write_line(task: Task, run: Run, log: Log, progress: tqdm[None]) -> None:
    means = _finite_means(task, run)
    place = {"step": run.step, "pairs_seen": run.pairs_seen, "lr": optimizer.rate(run.step - 1, task.recipe.train)}
    speed = log.write(place | means)
    progress.set_postfix({name: f"{means[name]:.4g}" for name in SHOWN if name in means} | {"pairs/s": f"{speed:.3g}"})
    run.window = Window()


def _finite_means(task: Task, run: Run) -> dict[str, float]:
    """The window's means; raises before weights that a broken loss has touched are logged or saved."""
    means = run.window.read()
    broken = [name for name in ("loss", "gradient_norm") if not math.isfinite(means[name])]
    if broken:
        kept = f"{checkpoint.path_of(task.out, run.saved)} is intact" if run.saved else "no checkpoint was saved yet"
        raise UserError(
            f"{task.out}: {broken[0]} is {means[broken[0]]} at step {run.step} ({run.pairs_seen} pairs seen), "
            f"{kept}; start again in another out with a lower train.lr (it is {task.recipe.train.lr:g})"
        )
    return means


def _sample(task: Task, run: Run, log: Log) -> None:
    if task.recipe.train.sample_every:
        with log.aside(), average.using(run.average, task.trainable.parameters):
            grid = samples.draw(task.backbone, task.recipe.train)
        samples.save(grid, task.out, run.step)
        log.image(run.step, grid)


def _save(task: Task, run: Run, log: Log) -> None:
    """Write a checkpoint unless the newest one is of this step."""
    if run.saved == run.step:
        return
    if run.window.sums:
        _finite_means(task, run)
    tensors: dict[str, dict[str, Tensor]] = {
        "weights": dict(task.trainable.parameters),
        "optimizer": optimizer.state_tensors(run.optimizer, task.trainable.parameters),
        "average": run.average or {},
        "window": run.window.sums,
    }
    with log.aside():
        state = State(run.step, run.pairs_seen, log.settle(), task.fingerprint)
        checkpoint.save(task.out, Checkpoint(state, tensors), task.recipe.train.keep_checkpoints)
    run.saved = run.step


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
    device = next(iter(parameters.values())).device
    run.window = Window({name: value.to(device) for name, value in found.tensors["window"].items()})
    run.step = run.saved = state.step
    run.pairs_seen, run.metrics_bytes = state.pairs_seen, state.metrics_bytes


def _other(task: Task) -> str:
    """How the run in the folder differs from the one that was asked for."""
    path = task.out / export.RECIPE
    change = difference(read_recipe(path), task.recipe) if path.exists() else None
    return change or "other data"


def _bar(task: Task, run: Run) -> tqdm[None]:
    progress: tqdm[None] = bar((), "train", total=task.reading.total, unit="pair")
    progress.initial = progress.n = run.pairs_seen
    return progress
