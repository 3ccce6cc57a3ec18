"""The verb ``export``: a finished run in, its weights in the format of some other program out."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.train.card import NAME as CARD
from tastemaker.train.card import Format, card
from tastemaker.train.recipe import NAME as RECIPE
from tastemaker.train.recipe import Shared, read_any

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from tastemaker.backbone.load import DType

INDEX = "model_index.json"


def convert(
    run: Path,
    form: Format,
    out: Path,
    *,
    dtype: DType | None = None,
    license: str | None = None,
    datasets: tuple[str, ...] = (),
    repo: str | None = None,
    private: bool = True,
    api: HfApi | None = None,
) -> dict[str, Any]:
    """Write the weights of ``run`` as ``form`` into the folder ``out``, push it to ``repo`` and return the summary.

    ``dtype`` is the number format of a merged model (the recipe's). ``license`` and ``datasets`` are for the card, in
    place of the recipe's. Weights that are already there are recognised; the card is written again.

    Raises:
        UserError: ``run`` is not finished, has no such format, or ``out`` holds something else; the hub refuses.
    """
    started = time.monotonic()
    recipe, done = finished_run(run)
    recipe = _with_card(recipe, license, datasets)
    _require(recipe, run, form, out)
    number_format = (dtype or recipe.dtype) if form == "merged" else None
    mark = summary.fingerprint(run=done["fingerprint"], form=form, dtype=number_format)
    with files.locked(out):
        found = summary.finished(out, mark)
        name = _write(recipe, run, form, out, number_format) if found is None else found["weights"]
        files.write_text(out / CARD, card(recipe, done, form, name, repo or "."))
        if found is None:
            found = summary.finish(out, "export", started, run=run, format=form, weights=name, fingerprint=mark)
        return found if repo is None else found | {"pushed to": _push(out, repo, private, api)}


def finished_run(run: Path) -> tuple[Shared, dict[str, Any]]:
    """Recipe and summary of a run. Raises `UserError` when it has not come to its end."""
    if not (run / RECIPE).is_file():
        raise UserError(f"{run}: no {RECIPE} here; give the folder that tastemaker train wrote")
    recipe = read_any(run / RECIPE)
    if not (run / summary.NAME).is_file():
        raise UserError(f"{run}: not finished; let the same tastemaker train go on to its end first")
    if not (run / recipe.adapter.artifact).exists():
        raise UserError(f"{run}: {recipe.adapter.artifact} is missing; copy it back or train again")
    return recipe, files.read_json(run / summary.NAME)


def _with_card(recipe: Shared, license: str | None, datasets: tuple[str, ...]) -> Shared:
    given = {"license": license, "datasets": datasets}
    changed = recipe.card.model_copy(update={name: value for name, value in given.items() if value})
    return recipe.model_copy(update={"card": changed})


def _require(recipe: Shared, run: Path, form: Format, out: Path) -> None:
    if form != "merged" and recipe.adapter.export_format == "merged":
        raise UserError(f"--format {form}: {run} trained every weight, so it has no LoRA; use --format merged")
    if out.resolve() == run.resolve():
        raise UserError(f"--out {out}: is the run itself; give a folder of its own")


def _push(out: Path, repo: str, private: bool, api: HfApi | None) -> str:
    from tastemaker.train.hub import push

    return push(out, repo, private, api)


def _write(recipe: Shared, run: Path, form: Format, out: Path, dtype: DType | None) -> str:
    """The weights; returns the name of their file, or that of the folder's index."""
    files.clear_temporaries(out)
    shutil.copyfile(run / RECIPE, out / RECIPE)
    source = run / recipe.adapter.artifact
    if form == "lora":
        with files.atomic_file(out / source.name) as temporary:
            shutil.copyfile(source, temporary)
        return source.name
    if form == "kohya":
        return _write_kohya(recipe, source, out / f"{run.resolve().name}.kohya.safetensors")
    temporary = out / f"{files.TEMPORARY}pipeline"
    _write_pipeline(recipe, source, temporary, dtype)
    _move(temporary, out)
    return INDEX


def _write_kohya(recipe: Shared, source: Path, path: Path) -> str:
    from safetensors.torch import save_file

    from tastemaker.backbone.kohya import to_kohya
    from tastemaker.backbone.lora_file import stored
    from tastemaker.backbone.source import find, pipeline_class

    folder = find(recipe.model, recipe.revision)
    part, adapter = stored(source)
    tensors = to_kohya(adapter, pipeline_class(folder), files.read_json(folder / part / "config.json"))
    with files.atomic_file(path) as temporary:
        save_file(tensors, temporary)
    return path.name


def _write_pipeline(recipe: Shared, source: Path, folder: Path, dtype: DType | None) -> None:
    from tastemaker.backbone.load import bars_on_terminals_only, load
    from tastemaker.backbone.lora_file import put_on
    from tastemaker.backbone.merge import merge

    whole = recipe.adapter.export_format == "merged"
    backbone = load(source if whole else recipe.model, dtype or recipe.dtype, None if whole else recipe.revision, "cpu")
    if not whole:
        put_on(backbone, source, "tuned")
        merge(backbone, "tuned")
    with bars_on_terminals_only():
        backbone.pipeline().save_pretrained(folder)


def _move(temporary: Path, out: Path) -> None:
    """Every part of a pipeline into ``out``, its index last: a folder without one is no model."""
    for path in sorted(temporary.iterdir(), key=lambda path: path.name == INDEX):
        for file in [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]:
            files.sync_file(file)
        shutil.rmtree(out / path.name, ignore_errors=True)
        os.replace(path, out / path.name)
    files.sync_folder(out)
    temporary.rmdir()
