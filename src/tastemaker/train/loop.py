"""The training loop: it knows steps, pairs and files, but neither the method nor the model.

A step reads `accumulate` micro-batches, whose gradients add up to the big batch's, and moves the weights once.
Every draw is keyed by (seed, pair id, visit), so a run that stops anywhere and goes on from its last
checkpoint ends in the same weights, optimizer state and metrics.jsonl, bit for bit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tastemaker.base.errors import Interrupted, UserError
from tastemaker.base.progress import bar
from tastemaker.train import average, checkpoint, optimizer, samples
from tastemaker.train.batch import make_batch
from tastemaker.train.log import Log, Window
from tastemaker.train.rate import rate
from tastemaker.train.run import Run, Task, snapshot
from tastemaker.train.signals import Stop, stopping
from tastemaker.train.step import step as judge

if TYPE_CHECKING:
    from tqdm import tqdm

    from tastemaker.train.order import Micro

SHOWN = ("loss", "accuracy")
MEANS = {"correct": "accuracy"}
"""What the mean of a figure is called, where it has a name of its own."""


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
            optimizer.clear(run.optimizer)
            run.memory.discard()
            return False
        _micro_step(task, run, micro, pairs, sums)
    norm = optimizer.clip(task.trainable.parameters, settings.max_grad_norm)
    optimizer.apply(run.optimizer, rate(run.step, task.steps, settings))
    optimizer.clear(run.optimizer)
    run.memory.commit(run.step)
    run.step, run.pairs_seen = run.step + 1, run.pairs_seen + pairs
    sums.add("gradient_norm", norm * pairs)
    run.window.extend(sums, pairs)
    if run.average is not None:
        average.update(run.average, task.trainable.parameters, run.step, settings.ema)
    return True


def _micro_step(task: Task, run: Run, micro: Micro, pairs: int, sums: Window) -> None:
    """Add this micro-batch's share of the step's gradient: the mean over ``pairs`` pairs."""
    seed = task.recipe.train.seed
    batch = make_batch(micro.pairs, micro.visits, task.cache, seed, drop_caption=task.recipe.train.drop_caption)
    outcome = judge(task.backbone, task.trainable, batch, task.recipe.method, run.memory, seed)
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
    place = {"step": run.step, "pairs_seen": run.pairs_seen, "lr": rate(run.step - 1, task.steps, task.recipe.train)}
    speed = log.write(place | means)
    progress.set_postfix({name: f"{means[name]:.4g}" for name in SHOWN if name in means} | {"pairs/s": f"{speed:.3g}"})
    run.window = Window()


def _finite_means(task: Task, run: Run) -> dict[str, float]:
    """The window's means; raises before weights that a broken loss has touched are logged or saved."""
    means = run.window.read()
    broken = [name for name in ("loss", "gradient_norm") if not math.isfinite(means[name])]
    if broken:
        saved = "no checkpoint was" if run.saved is None else f"{checkpoint.path_of(task.out, run.saved)} is"
        raise UserError(
            f"{task.out}: {broken[0]} is {means[broken[0]]} at step {run.step} ({run.pairs_seen} pairs seen), "
            f"{saved} saved; start again in another out with a lower train.lr (it is {task.recipe.train.lr:g})"
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
    with log.aside():
        checkpoint.save(task.out, snapshot(task, run, log.settle()), task.recipe.train.keep_checkpoints)
    run.saved = run.step


def _bar(task: Task, run: Run) -> tqdm[None]:
    progress: tqdm[None] = bar((), "train", total=task.reading.total, unit="pair")
    progress.initial = progress.n = run.pairs_seen
    return progress
