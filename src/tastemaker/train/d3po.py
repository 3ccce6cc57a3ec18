"""The verb ``d3po``: a recipe in; rounds of sampling, feedback and training; a folder with trained weights out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.train import inputs
from tastemaker.train.training import carry_out, model_of

if TYPE_CHECKING:
    from tastemaker.rollout.rounds import Build
    from tastemaker.train.ranks import Ranks
    from tastemaker.train.recipe import D3po
    from tastemaker.train.run import Task


def d3po(recipe: D3po, build: Build) -> dict[str, Any]:
    """Train by ``recipe`` into its ``out`` and return the summary; ``build`` makes a scorer of its name.

    A stopped run goes on where it was, a finished one is recognised. Where people are asked and have not answered yet,
    the summary says under ``waiting`` what is missing; the same command goes on. Raises as `training.train` does.
    """
    from tastemaker.backbone.load import identity

    for line in inputs.missing_online(recipe):
        raise UserError(line)
    scorers = [build(spec).id for spec in [*recipe.feedback.scorers, *recipe.rounds.watch]]
    prompts = read_prompts(recipe)
    mark = summary.fingerprint(
        recipe=recipe.identity(),
        adapters=inputs.adapters_sha(recipe),
        prompts=files.sha256_text("".join(map(files.sha256_text, prompts))),
        scorers=scorers,
        model_key=identity(recipe.model, recipe.revision),
    )
    return carry_out("d3po", recipe, mark, lambda ranks, device: prepare(recipe, mark, prompts, ranks, device, build))


def read_prompts(recipe: D3po) -> list[str]:
    """The distinct prompts that rounds are made of, in the file's order."""
    from tastemaker.evaluate import prompts

    return list(dict.fromkeys(prompts.read_prompts(Path(recipe.rollout.prompts))))


def prepare(recipe: D3po, mark: str, prompts: Sequence[str], ranks: Ranks, device: str, build: Build) -> Task:
    """Load the model, put the adapter on and make the walk ready. Raises `UserError` where they do not fit."""
    from tastemaker.backbone.load import named_device
    from tastemaker.rollout.sampling import make_sampler
    from tastemaker.train import optimizer
    from tastemaker.train.online import Online
    from tastemaker.train.run import Task
    from tastemaker.train.studio import Studio

    settings, out = recipe.train, Path(recipe.out)
    optimizer.require(settings.optimizer, named_device(device))
    backbone, trainable = model_of(recipe, device)
    sampler = make_sampler(backbone, recipe.rollout, settings.seed)
    studio = Studio(recipe, out, mark, prompts, sampler, trainable, ranks, build)
    return Task(recipe, out, mark, backbone, trainable, Online(studio), ranks)
