"""What a run reads, checked before anything heavy starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.backbone.lora_file import find
from tastemaker.base import files
from tastemaker.base.errors import UserError
from tastemaker.encode.cache import missing_images
from tastemaker.train.choice import missing_library

if TYPE_CHECKING:
    from tastemaker.rank.pairs import Pair
    from tastemaker.train.recipe import D3po, Recipe, Shared

PAIRS, CACHE = "pairs.parquet", "cache.json"
INDEX_FIELDS = ("model", "model_key", "resolution", "latent_shape", "images", "prompts")


def missing(recipe: Recipe) -> list[str]:
    """One line for each file or library that is not there, with the command that makes or installs it."""
    cache = Path(recipe.data.cache) / CACHE
    lines = [
        f"{field}: {pairs}: no such file; make it with: tastemaker rank DATA --scorer S --out {folder}"
        for field, folder in ranked_folders(recipe)
        if not (pairs := Path(folder) / PAIRS).is_file()
    ]
    if not cache.is_file():
        lines.append(f"data.cache: {cache}: no such file; make it with: {encode_command(recipe)}")
    return [*lines, *missing_everywhere(recipe)]


def missing_online(recipe: D3po) -> list[str]:
    """The same of a recipe of rounds."""
    path = Path(recipe.rollout.prompts)
    lines = [] if path.is_file() else [f"rollout.prompts: {path}: no such file; give a file with one prompt a line"]
    return [*lines, *recipe.feedback.missing(), *missing_everywhere(recipe)]


def missing_everywhere(recipe: Shared) -> list[str]:
    """What any recipe may miss: model, adapters, the optimizer's library."""
    lines = []
    if looks_local(recipe.model) and not (Path(recipe.model) / "model_index.json").is_file():
        lines.append(f"model: {recipe.model}: no model_index.json here; give a diffusers model's folder or a hub id")
    lines += [line for path in recipe.adapter.reads for line in _missing_adapter(path)]
    library = missing_library(recipe.train.optimizer)
    return [*lines, library] if library else lines


def _missing_adapter(path: str) -> list[str]:
    try:
        find(path)
    except UserError as error:
        return [f"adapter: {error}"]
    return []


def adapters_sha(recipe: Shared) -> list[str]:
    """SHA-256 of each adapter's file that training starts from or is put on."""
    return [files.sha256_file(find(path)) for path in recipe.adapter.reads]


def ranked_folders(recipe: Recipe) -> list[tuple[str, str]]:
    """Field of the recipe and folder of everything that the verb rank wrote for this run."""
    held_out = recipe.data.validation
    return [("data.pairs", source.pairs) for source in recipe.data.sources] + (
        [("data.validation", held_out)] if held_out else []
    )


def looks_local(model: str) -> bool:
    """Whether ``model`` names a folder; `owner/name` without such a folder is a hub id."""
    return Path(model).exists() or model.count("/") != 1 or model.startswith((".", "/", "~"))


def cache_index(cache: Path) -> dict[str, Any]:
    """The content of cache.json. Raises `UserError` when it is none."""
    path = cache / CACHE
    index = files.read_json(path)
    absent = [name for name in INDEX_FIELDS if name not in index] if isinstance(index, dict) else [*INDEX_FIELDS]
    if absent:
        raise UserError(f"{path}: lacks {', '.join(absent)}; remove {cache} and run `tastemaker encode` again")
    return index


def encode_command(recipe: Recipe) -> str:
    """The command that fills the recipe's cache."""
    revision = f" --revision {recipe.revision}" if recipe.revision else ""
    folders = " ".join(folder for _, folder in ranked_folders(recipe))
    return f"tastemaker encode {folders} --data DATA --model {recipe.model}{revision} --out {recipe.data.cache}"


def require(recipe: Recipe) -> None:
    """Raise a `UserError` for the first missing input."""
    for line in missing(recipe):
        raise UserError(line)


def check_model(recipe: Recipe, index: dict[str, Any], model_key: str) -> None:
    """Raise a `UserError` unless the cache was made by the model whose identity is ``model_key``."""
    if index["model_key"] != model_key:
        raise UserError(
            f"data.cache: {recipe.data.cache}: encoded by {index['model']}, not by {recipe.model}; "
            f"give another folder and make it with: {encode_command(recipe)}"
        )


def check_cache(recipe: Recipe, pairs: Sequence[Pair], index: dict[str, Any], folder: str) -> None:
    """Raise a `UserError` unless the cache holds every image and prompt of the ``pairs`` that ``folder`` lists.

    ``index`` is the content of cache.json.
    """
    prompts = sorted({pair.prompt_sha for pair in pairs} - index["prompts"].keys())
    for what, absent in (("image", missing_images(index, pairs)), ("prompt", prompts)):
        if absent:
            raise UserError(
                f"data.cache: {recipe.data.cache}: {len(absent)} {what}s of {folder} are not in it "
                f"(first: {absent[0]}); give a new folder and make it with: {encode_command(recipe)}"
            )


def check_kinds(recipe: Recipe, pairs: Sequence[Pair]) -> None:
    """Raise a `UserError` where pairs and single images are mixed, or the method cannot read what is there."""
    link = recipe.method.link
    singles = [pair for pair in pairs if pair.single]
    if not singles:
        return
    first = f"data.pairs: {recipe.data.folders}: {singles[0].pair_id} is a single image"
    if len(singles) < len(pairs):
        raise UserError(f"{first}, others are pairs; rank them into folders of their own and train on one of them")
    if link.loser == "required":
        raise UserError(f"{first}, but method.link '{link.kind}' compares pairs; use 'pointwise' or rank pairs")
    disliked = next((pair.pair_id for pair in singles if pair.winner is None), None)
    if link.loser == "no" and disliked is not None:
        raise UserError(
            f"data.pairs: {recipe.data.folders}: {disliked} is a disliked image, from which method.link '{link.kind}' "
            "cannot learn; use 'pointwise', or rank with --only liked"
        )


def check_held_out(recipe: Recipe, pairs: Sequence[Pair], held_out: Sequence[Pair]) -> None:
    """Raise a `UserError` unless the ``held_out`` are pairs of which training sees neither id nor image."""
    ids = {pair.pair_id for pair in pairs}
    images = {sha for pair in pairs for sha in (pair.winner, pair.loser)} - {None}
    field = f"data.validation: {recipe.data.validation}"
    if not held_out:
        raise UserError(f"{field}: holds no pair; rank some, or leave data.validation out")
    for pair in held_out:
        if pair.winner is None or pair.loser is None:
            raise UserError(f"{field}: {pair.pair_id} is a single image; validation compares pairs")
        if pair.pair_id in ids or {pair.winner, pair.loser} & images:
            raise UserError(
                f"{field}: {pair.pair_id} is trained on as well (the pair or one of its images is in "
                f"{recipe.data.folders}); rank held-out pairs into a folder of their own"
            )


def pairs_sha(recipe: Recipe) -> list[str]:
    """SHA-256 of each file of ranked pairs."""
    return [files.sha256_file(Path(folder) / PAIRS) for _, folder in ranked_folders(recipe)]
