"""What a recipe would do, worked out without running it: steps, memory, files. No torch, no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.train import headers, inputs
from tastemaker.train.memory import estimate
from tastemaker.train.order import pairs_to_read
from tastemaker.train.recipe import D3po, Recipe

FLUX_SIZE = 128
"""Side of Flux's latents at its own resolution, which its configuration does not say."""


def plan(recipe: Recipe | D3po) -> dict[str, Any]:
    """Settings, counts, memory in GB (10⁹ bytes), what is read and written, and one line for each missing input."""
    match recipe:
        case Recipe():
            pairs, missing = _pairs(recipe, pairs_available(recipe)), inputs.missing(recipe)
            reads = [
                *(f"{folder}/{inputs.PAIRS}" for _, folder in inputs.ranked_folders(recipe)),
                f"{recipe.data.cache}/",
            ]
        case D3po():
            pairs, missing, reads = _rounds(recipe), inputs.missing_online(recipe), [recipe.rollout.prompts]
    return {
        "recipe": recipe.model_dump(mode="json"),
        "pairs": pairs,
        "memory": _memory(recipe),
        "reads": [*reads, recipe.model, *recipe.adapter.reads],
        "writes": writes(recipe),
        "missing": missing,
    }


def pairs_available(recipe: Recipe) -> int | None:
    """Rows of all ranked pairs, or None when a file is missing. Raises `UserError` when one is damaged."""
    counts = [_rows(Path(source.pairs) / inputs.PAIRS) for source in recipe.data.sources]
    return None if None in counts else sum(count or 0 for count in counts)


def _rows(path: Path) -> int | None:
    if not path.is_file():
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not readable as ranked pairs ({error}); rank again into another --out") from None


def _pairs(recipe: Recipe, available: int | None) -> dict[str, Any]:
    if available is None:
        return {"available": None}
    total, each = pairs_to_read(available, recipe.data), recipe.train.pairs_a_step
    return {"available": available, "read": total, "in one step": each, "optimizer steps": -(-total // each)}


def _rounds(recipe: D3po) -> dict[str, Any]:
    rounds, each = recipe.rounds, recipe.train.pairs_a_step
    steps, work = rounds.count * rounds.updates, recipe.feedback.work(rounds.prompts, recipe.rollout.images)
    in_all = {"tasks in all": rounds.count * work["tasks a round"]} if work else {}
    return {
        "rounds": rounds.count,
        "images drawn": rounds.count * rounds.prompts * recipe.rollout.images,
        **work,
        **in_all,
        "read": steps * each,
        "in one step": each,
        "optimizer steps": steps,
    }


def writes(recipe: Recipe | D3po) -> list[str]:
    """The files and folders of the run."""
    names = ["recipe.yaml", "metrics.jsonl", "timing.jsonl", "tensorboard/", "checkpoints/", "memory.safetensors"]
    names += ["rounds/"] * isinstance(recipe, D3po)
    names += ["samples/"] * bool(recipe.train.sample_every)
    return [f"{Path(recipe.out)}/{name}" for name in [*names, recipe.adapter.artifact, "README.md", "summary.json"]]


def _memory(recipe: Recipe | D3po) -> dict[str, Any]:
    folder = headers.model_folder(recipe.model, recipe.revision)
    if folder is None or not headers.denoiser(folder)[1]:
        return {"unknown": f"{recipe.model} is not on this machine"}
    return estimate(recipe, folder, latent_size(recipe, folder))


def latent_size(recipe: Recipe | D3po, folder: Path) -> int:
    """Side of a latent: the cache's, else the model's own."""
    if isinstance(recipe, Recipe) and (Path(recipe.data.cache) / inputs.CACHE).is_file():
        return int(inputs.cache_index(Path(recipe.data.cache))["latent_shape"][-1])
    part, _ = headers.denoiser(folder)
    return int(files.read_json(folder / part / "config.json").get("sample_size", FLUX_SIZE))
