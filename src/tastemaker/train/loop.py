"""The training loop: it knows steps, pairs and files, but neither the method nor the model.

A step reads `accumulate` micro-batches, whose gradients add up to the big batch's, and moves the weights once; a step
with a number that is not finite moves nothing. Every draw is keyed by (seed, pair id, visit), so a run that stops
anywhere and goes on from its last checkpoint ends in the same weights, optimizer state and logs, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from tastemaker.base.errors import Interrupted
from tastemaker.train import average, checkpoint, milestones, optimizer, scaling, skipped
from tastemaker.train.rate import rate
from tastemaker.train.signals import WATCHED, Stop, stopping
from tastemaker.train.step import step as judge
from tastemaker.train.tally import Tally

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.train.batch import Batch
    from tastemaker.train.milestones import Record
    from tastemaker.train.run import Run, Task
    from tastemaker.train.transitions import Steps


def finish(task: Task, run: Run) -> None:
    """Train from where ``run`` stands to the end, or to where `Source.waiting` says why not; every rank calls it.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint was saved.
        Diverged: several steps in a row were not finite; the last good checkpoint is intact.
        UserError: nothing can be written, or another rank has stopped; the last good checkpoint is intact.
    """
    with milestones.opened(task, run) as record, stopping() as stop:
        if run.step == 0:
            record.begin()
        while run.step < task.steps and _supplied(task, run, record, stop) and advance(task, run, stop):
            record.after_step()
        record.save()
        _agree(task, stop)
    if stop.signum is not None:
        raise Interrupted(stop.signum)


def _supplied(task: Task, run: Run, record: Record, stop: Stop) -> bool:
    """Whether the pairs of the next step are at hand; what takes long is begun with a checkpoint behind it."""
    if task.source.has(run.step):
        return True
    record.save()
    with record.log.aside():
        figures = task.source.supply(run.step, stop)
    if figures:
        record.tell(figures)
    return figures is not None


def advance(task: Task, run: Run, stop: Stop) -> bool:
    """One optimizer step; False when a signal came before all its micro-steps were done, on whichever rank.

    The gradients of an unfinished step are dropped: they are drawn again, the same, after the resume.
    """
    settings = task.recipe.train
    micro_batches = task.source.micro_batches(run.step, settings.batch_size, settings.accumulate)
    tally = Tally(sum(len(micro.pairs) for micro in micro_batches), task.backbone.device)
    for micro in task.ranks.share(micro_batches):
        if stop.signum is not None:
            tally.signum = stop.signum
            break
        for batch in task.source.batches(micro):
            _micro_step(task, run, batch, tally)
    norm, length, unfit, stopped = _exchange(task, run, tally)
    if stop.hear(stopped):
        _drop(run)
        return False
    run.step, run.pairs_seen = run.step + 1, run.pairs_seen + tally.pairs
    if math.isfinite(length) and not unfit:
        _move(task, run, tally, norm)
    elif unfit or not scaling.overflowed(run.scaler):
        _skip(task, run, tally, [pair.pair_id for micro in micro_batches for pair in micro.pairs])
    else:
        _drop(run)
        _note(task, run, skipped.SCALE, [])
    run.scaler.update()
    return True


def _micro_step(task: Task, run: Run, batch: Batch | Steps, tally: Tally) -> None:
    """Add this batch's share of the step's gradient: the mean over all pairs of the step."""
    seed = task.recipe.train.seed
    with task.trainable.dropout(batch.pair_ids[0], batch.visits[0]):
        outcome = judge(task.backbone, task.trainable, batch, task.recipe.method, run.memory, seed)
        run.scaler.scale(outcome.loss.sum() * batch.share / tally.pairs).backward()
    tally.add(batch.pair_ids, batch.share, outcome)


def _exchange(task: Task, run: Run, tally: Tally) -> tuple[Tensor, float, float, list[float]]:
    """Add up and clip what all ranks have: the gradient's norm, as tensor and number, unfit pairs, stopped ranks.

    The only place of a step that waits for the device.
    """
    parameters, counts = task.trainable.parameters, tally.counts()
    task.ranks.sum(_gradients_and(task, counts))
    run.scaler.unscale_(run.optimizer)
    norm = optimizer.clip(parameters, task.recipe.train.max_grad_norm).to(counts.device)
    length, unfit, *stopped = torch.cat([norm.view(1), counts]).tolist()
    return norm, length, unfit, stopped


def _gradients_and(task: Task, counts: Tensor) -> Iterator[Tensor]:
    """What goes round; a weight for which this rank has no gradient counts as zero."""
    for parameter in task.trainable.parameters.values():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        yield parameter.grad
    yield counts


def _move(task: Task, run: Run, tally: Tally, norm: Tensor) -> None:
    """Let the step into the weights, the method's memory, the average and the log."""
    settings = task.recipe.train
    optimizer.apply(run.optimizer, rate(run.step - 1, task.steps, settings))
    optimizer.clear(run.optimizer)
    run.memory.commit(run.step - 1, task.ranks.total)
    if run.average is not None:
        average.update(run.average, task.trainable.parameters, run.step, settings.ema)
    tally.sums.add("gradient_norm", norm * tally.own_pairs)
    run.window.extend(tally.sums, tally.own_pairs)
    run.skips = 0


def _skip(task: Task, run: Run, tally: Tally, pairs: Sequence[str]) -> None:
    """Leave everything but the position as it was, and say so; raises `Diverged` when it happens again and again."""
    _drop(run)
    unfit = {name for names in task.ranks.gather(tally.unfit_pairs()) for name in names}
    named = [name for name in pairs if name in unfit] or list(pairs)
    run.skips += 1
    _note(task, run, "loss" if unfit else "gradient", named)
    if run.skips >= skipped.PATIENCE:
        good = checkpoint.last_good(task.out, run.saved)
        raise skipped.diverged(task.out, run.step, named, good, task.recipe.train.lr)


def _note(task: Task, run: Run, reason: str, pairs: Sequence[str]) -> None:
    if task.ranks.main:
        run.skipped_bytes = skipped.append(task.out, run.step, run.pairs_seen, reason, pairs)


def _drop(run: Run) -> None:
    optimizer.clear(run.optimizer)
    run.memory.discard()


def _agree(task: Task, stop: Stop) -> None:
    """A signal that reached one rank after the last step stops them all."""
    asked = task.ranks.gather([float(stop.signum == signum) for signum in WATCHED])
    stop.hear([sum(column) for column in zip(*asked, strict=True)])
