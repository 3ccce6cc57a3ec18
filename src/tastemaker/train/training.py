"""The verb ``train``: a recipe in, a folder with trained weights out."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.train import inputs
from tastemaker.train.order import Reading

if TYPE_CHECKING:
    from tastemaker.train.recipe import Recipe
    from tastemaker.train.run import Run, Task

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a full disk, a full quota and a file past its limit are called."""
GO_ON = "free some space and run the same command to go on"


def train(recipe: Recipe) -> dict[str, Any]:
    """Train by ``recipe`` into its ``out`` and return the summary.

    A finished run is recognised and left alone; a stopped one goes on from its newest whole checkpoint and ends in the
    same bits as if it had not been stopped.

    Raises:
        UserError: something is missing or does not fit together, the loss is not finite, or the disk is full.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
    """
    started = time.monotonic()
    inputs.require(recipe)
    index = inputs.cache_index(Path(recipe.data.cache))
    mark = summary.fingerprint(recipe=recipe.identity(), pairs=inputs.pairs_sha(recipe), model_key=index["model_key"])
    out = Path(recipe.out)
    with files.locked(out), _disk_full_is_told(out):
        return summary.finished(out, mark) or _train(recipe, out, mark, index, started)


def _train(recipe: Recipe, out: Path, mark: str, index: dict[str, Any], started: float) -> dict[str, Any]:
    from tastemaker.base.config import write_yaml
    from tastemaker.train import export, loop, run
    from tastemaker.train.recipe import NAME

    files.clear_temporaries(out)
    files.clear_temporaries(out / "checkpoints")
    task = prepare(recipe, out, mark, index)
    state = run.resume(task)
    write_yaml(out / NAME, recipe)
    loop.finish(task, state)
    weights = export.export(task, state)
    return summary.finish(out, "train", started, fingerprint=mark, **_facts(task, state, weights))


def prepare(recipe: Recipe, out: Path, mark: str, index: dict[str, Any]) -> Task:
    """Load pairs, cache and model, and put the adapter on.

    Raises:
        UserError: the cache is another model's, or misses an image or a prompt.
    """
    from tastemaker.backbone.adapter import attach
    from tastemaker.backbone.load import identity, load
    from tastemaker.encode.cache import Cache
    from tastemaker.rank.pairs import read_pairs
    from tastemaker.train.run import Task

    settings = recipe.train
    sources = [read_pairs(Path(source.pairs)) for source in recipe.data.sources]
    reading = Reading(sources, recipe.data, settings.seed)
    pairs = [pair for source in sources for pair in source]
    inputs.check_cache(recipe, pairs, index, identity(recipe.model, recipe.revision))
    backbone = load(
        recipe.model,
        dtype=recipe.dtype,
        revision=recipe.revision,
        device=settings.device,
        gradient_checkpointing=settings.gradient_checkpointing,
    )
    trainable = attach(backbone, recipe.adapter, settings.seed, reference=recipe.method.needs_reference)
    cache = Cache(Path(recipe.data.cache))
    return Task(recipe, out, mark, backbone, trainable, cache, reading)


def _facts(task: Task, run: Run, weights: Path) -> dict[str, Any]:
    from tastemaker.train.export import last_line, versions

    last = last_line(task.out)
    return {
        "out": task.out,
        "weights": weights.name,
        "steps": run.step,
        "pairs_seen": run.pairs_seen,
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
