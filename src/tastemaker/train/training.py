"""The verb ``train``: a recipe in, a folder with trained weights out."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.train import inputs
from tastemaker.train.order import Reading

if TYPE_CHECKING:
    from tastemaker.backbone.adapter import Trainable
    from tastemaker.backbone.backbone import Backbone
    from tastemaker.encode.cache import Cache
    from tastemaker.rank.pairs import Pair
    from tastemaker.train.ranks import Ranks
    from tastemaker.train.recipe import Recipe, Shared
    from tastemaker.train.run import Run, Task
    from tastemaker.train.validation import HeldOut

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a full disk, a full quota and a file past its limit are called."""
GO_ON = "free some space and run the same command to go on"


def train(recipe: Recipe) -> dict[str, Any]:
    """Train by ``recipe`` into its ``out`` and return the summary (an empty one on all ranks but the main one).

    A finished run is recognised and left alone; a stopped one goes on from its newest whole checkpoint and ends in the
    same bits as if it had not been stopped. Processes that torchrun has started share the work.

    Raises:
        UserError: something is missing or does not fit together, or the disk is full.
        Diverged: several steps in a row were not finite; the last good checkpoint is intact.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
    """
    inputs.require(recipe)
    index = inputs.cache_index(Path(recipe.data.cache))
    read = {"pairs": inputs.pairs_sha(recipe), "adapters": inputs.adapters_sha(recipe)}
    mark = summary.fingerprint(recipe=recipe.identity(), **read, model_key=index["model_key"])

    def prepared(ranks: Ranks, device: str) -> Task:
        return prepare(recipe, Path(recipe.out), mark, index, ranks, device)

    return carry_out("train", recipe, mark, prepared)


def carry_out(verb: str, recipe: Shared, mark: str, prepare: Callable[[Ranks, str], Task]) -> dict[str, Any]:
    """Do what ``prepare(ranks, device)`` says, unless the folder holds it finished; raises as `train` does."""
    from tastemaker.train.ranks import joined

    started, out = time.monotonic(), Path(recipe.out)
    with joined(recipe.train) as (ranks, device), _held(out, ranks), _disk_full_is_told(out):
        finished = ranks.gather(summary.finished(out, mark) if ranks.main else None)[0]
        if finished is not None:
            return finished if ranks.main else {}
        return _train(verb, prepare(ranks, device), started)


def _train(verb: str, task: Task, started: float) -> dict[str, Any]:
    from tastemaker.base.config import write_yaml
    from tastemaker.train import export, loop, run
    from tastemaker.train.recipe import NAME

    state = run.resume(task)
    if task.ranks.main:
        write_yaml(task.out / NAME, task.recipe)
    loop.finish(task, state)
    if not task.ranks.main:
        return {}
    if task.source.waiting is not None:
        return {"verb": verb, "out": task.out, "steps": state.step, "waiting": task.source.waiting}
    weights = export.export(task, state)
    return summary.finish(task.out, verb, started, fingerprint=task.fingerprint, **_facts(task, state, weights))


@contextmanager
def _held(out: Path, ranks: Ranks) -> Iterator[None]:
    """The main rank holds the run's folder for all, and tidies it."""
    if not ranks.main:
        yield
        return
    with files.locked(out):
        files.clear_temporaries(out)
        files.clear_temporaries(out / "checkpoints")
        yield


def prepare(recipe: Recipe, out: Path, mark: str, index: dict[str, Any], ranks: Ranks, device: str) -> Task:
    """Load pairs, cache and model, and put the adapter on.

    Raises:
        UserError: the cache is another model's, or misses an image or a prompt; pairs that do not fit the method;
            a device that is not here, or that the optimizer does not run on.
    """
    from tastemaker.backbone.load import identity, named_device
    from tastemaker.encode.cache import Cache
    from tastemaker.rank.pairs import read_pairs
    from tastemaker.train import optimizer
    from tastemaker.train.offline import Offline
    from tastemaker.train.run import Task

    settings = recipe.train
    optimizer.require(settings.optimizer, named_device(device))
    inputs.check_model(recipe, index, identity(recipe.model, recipe.revision))
    sources = [read_pairs(Path(source.pairs)) for source in recipe.data.sources]
    reading = Reading(sources, recipe.data, settings.seed)
    pairs = [pair for source in sources for pair in source]
    inputs.check_kinds(recipe, pairs)
    inputs.check_cache(recipe, pairs, index, recipe.data.folders)
    cache = Cache(Path(recipe.data.cache))
    held_out = _held_out(recipe, pairs, index, cache)
    backbone, trainable = model_of(recipe, device)
    return Task(recipe, out, mark, backbone, trainable, Offline(reading, cache, settings), ranks, held_out)


def model_of(recipe: Shared, device: str) -> tuple[Backbone, Trainable]:
    """The recipe's model with its adapter on. Raises `UserError` where the method has no meaning on it."""
    from tastemaker.backbone.adapter import attach
    from tastemaker.backbone.load import load

    backbone = load(
        recipe.model,
        dtype=recipe.dtype,
        revision=recipe.revision,
        device=device,
        gradient_checkpointing=recipe.train.gradient_checkpointing,
    )
    recipe.method.require(backbone.schedule, backbone.head)
    return backbone, attach(backbone, recipe.adapter, recipe.train.seed, reference=recipe.method.needs_reference)


def _held_out(recipe: Recipe, pairs: Sequence[Pair], index: dict[str, Any], cache: Cache) -> HeldOut | None:
    from tastemaker.rank.pairs import read_pairs
    from tastemaker.train.validation import held_out

    if recipe.data.validation is None:
        return None
    found = read_pairs(Path(recipe.data.validation))
    inputs.check_held_out(recipe, pairs, found)
    inputs.check_cache(recipe, found, index, recipe.data.validation)
    keeps_reference = recipe.adapter.reference_is_free or recipe.method.needs_reference
    return held_out(found, recipe.train.validation_pairs, keeps_reference, cache)


def _facts(task: Task, run: Run, weights: Path) -> dict[str, Any]:
    from tastemaker.train import skipped
    from tastemaker.train.export import last_line, versions

    last = last_line(task.out)
    return {
        "out": task.out,
        "weights": weights.name,
        "steps": run.step,
        "pairs_seen": run.pairs_seen,
        "skipped": skipped.count(task.out),
        "trained_parameters": sum(parameter.numel() for parameter in task.trainable.parameters.values()),
        "last": {name: value for name, value in last.items() if name not in ("step", "pairs_seen")},
        "versions": versions(),
    }


@contextmanager
def _disk_full_is_told(out: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise UserError(f"{out}: cannot be written ({error}); {GO_ON}") from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UserError(f"{out}: cannot be written ({error.strerror}); {GO_ON}") from error
