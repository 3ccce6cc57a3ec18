"""What a run reads, checked before anything heavy starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from tastemaker.rank.pairs import Pair
    from tastemaker.train.recipe import Recipe

PAIRS, CACHE = "pairs.parquet", "cache.json"
INDEX_FIELDS = ("model", "model_key", "latent_shape", "images", "prompts")


def missing(recipe: Recipe) -> list[str]:
    """One line for each file that is not there, with the command that makes it."""
    cache = Path(recipe.data.cache) / CACHE
    lines = [
        f"data.pairs: {pairs}: no such file; make it with: tastemaker rank DATA --scorer S --out {source.pairs}"
        for source in recipe.data.sources
        if not (pairs := Path(source.pairs) / PAIRS).is_file()
    ]
    if not cache.is_file():
        lines.append(f"data.cache: {cache}: no such file; make it with: {encode_command(recipe)}")
    if looks_local(recipe.model) and not (Path(recipe.model) / "model_index.json").is_file():
        lines.append(f"model: {recipe.model}: no model_index.json here; give a diffusers model's folder or a hub id")
    return lines


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
    return (
        f"tastemaker encode {recipe.data.folders} --data DATA --model {recipe.model}{revision} --out {recipe.data.cache}"
    )


def require(recipe: Recipe) -> None:
    """Raise a `UserError` for the first missing input."""
    for line in missing(recipe):
        raise UserError(line)


def check_cache(recipe: Recipe, pairs: Sequence[Pair], index: dict[str, Any], model_key: str) -> None:
    """Raise a `UserError` unless the cache was made by this model and holds every image and prompt of ``pairs``.

    ``index`` is the content of cache.json, ``model_key`` the identity of the recipe's model.
    """
    if index["model_key"] != model_key:
        raise UserError(
            f"data.cache: {recipe.data.cache}: encoded by {index['model']}, not by {recipe.model}; "
            f"give another folder and make it with: {encode_command(recipe)}"
        )
    absent = _first_absent(index["images"], (sha for pair in pairs for sha in (pair.winner, pair.loser)))
    _require_encoded(recipe, "image", *absent)
    _require_encoded(recipe, "prompt", *_first_absent(index["prompts"], (pair.prompt_sha for pair in pairs)))


def _first_absent(known: dict[str, Any], keys: Iterable[str]) -> tuple[int, str]:
    absent = sorted(set(keys) - known.keys())
    return len(absent), absent[0] if absent else ""


def _require_encoded(recipe: Recipe, what: str, count: int, first: str) -> None:
    if count:
        raise UserError(
            f"data.cache: {recipe.data.cache}: {count} {what}s of {recipe.data.folders} are not in it (first: {first}); "
            f"give a new folder and make it with: {encode_command(recipe)}"
        )


def pairs_sha(recipe: Recipe) -> list[str]:
    """SHA-256 of each file of ranked pairs."""
    return [files.sha256_file(Path(source.pairs) / PAIRS) for source in recipe.data.sources]
