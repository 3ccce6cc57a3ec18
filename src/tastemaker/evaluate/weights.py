"""The weights that images are drawn by: what ``--model`` and ``--adapter`` name, their identity, and how they load.

Both may be a checkpoint in the middle of a run. It is turned into what the run would have handed over after that step,
by the code that does so at the end of a run (`Trainable.save`), so an image does not depend on which of the two it is
drawn from.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tastemaker.backbone.choice import Adapter, Full, Lora
from tastemaker.backbone.source import INDEX
from tastemaker.base import files, manifest
from tastemaker.base.config import read_yaml, validate
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.backbone.backbone import Backbone
    from tastemaker.backbone.load import DType

RECIPE, CHECKPOINTS = "recipe.yaml", "checkpoints"
WEIGHTS, AVERAGE = "weights.safetensors", "average.safetensors"
NO_ADAPTER = "no such file; give a LoRA file or the output folder of `tastemaker train`"


class Trained(BaseModel):
    """What a run's recipe says of its weights."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    revision: str | None = None
    adapter: Adapter


def is_checkpoint(path: str | Path) -> bool:
    """Whether ``path`` is a folder that training saved on its way."""
    return (Path(path) / manifest.NAME).is_file() and (Path(path) / WEIGHTS).is_file()


def trained(checkpoint: Path) -> Trained:
    """What the recipe of the run says that ``checkpoint`` lies in; `UserError` when there is none."""
    recipe = checkpoint.resolve().parent.parent / RECIPE
    if not recipe.is_file():
        raise UserError(f"{checkpoint}: no {RECIPE} two folders above it; give the checkpoint inside its run")
    return validate(Trained, read_yaml(recipe), recipe)


def model_place(model: str | Path) -> str:
    """The diffusers folder or hub id that ``model`` means, or a checkpoint of a training of all weights.

    A RUN is its folder ``model``. Raises `UserError` for a run or checkpoint that holds an adapter, and for one that is
    not finished.
    """
    folder = Path(model)
    if (folder / INDEX).is_file():
        return str(model)
    if is_checkpoint(folder):
        _require_full(folder, trained(folder))
    elif (folder / RECIPE).is_file():
        run = validate(Trained, read_yaml(folder / RECIPE), folder / RECIPE)
        _require_full(folder, run)
        folder = folder / run.adapter.artifact
        if not folder.is_dir():
            raise UserError(f"{model}: not finished, so it has no {folder.name}/; {_way_on(Path(model))}")
        return str(folder)
    return str(model)


def _require_full(place: Path, run: Trained) -> None:
    if not isinstance(run.adapter, Full):
        raise UserError(f"{place}: holds an adapter, not a model; give it as --adapter, with --model {run.model}")


def adapter_place(path: Path) -> Path:
    """The LoRA file, or the checkpoint, that ``path`` means: a file, RUN, or ``RUN/checkpoints/step-…``.

    Raises `UserError` when there is none, and for a run that trained all weights.
    """
    if is_checkpoint(path.parent):
        raise UserError(f"{path}: a part of a checkpoint; give its folder {path.parent}")
    if is_checkpoint(path):
        _require_lora(path, trained(path))
        return path
    file = path / Lora.artifact if path.is_dir() else path
    if file.is_file():
        return file
    if (path / RECIPE).is_file():
        _require_lora(path, validate(Trained, read_yaml(path / RECIPE), path / RECIPE))
        raise UserError(f"{file}: no such file, the run is not finished; {_way_on(path)}")
    if found := _checkpoints(path.parent) if path.name == CHECKPOINTS else []:
        raise UserError(f"{path}: holds {len(found)} checkpoints; give one of them, such as {found[-1]}")
    raise UserError(f"{file}: {NO_ADAPTER}")


def _require_lora(place: Path, run: Trained) -> None:
    if not isinstance(run.adapter, Lora):
        raise UserError(f"{place}: holds all weights of a model, not an adapter; give it as --model, without --adapter")


def _way_on(run: Path) -> str:
    found = _checkpoints(run)
    return "let tastemaker train go on to its end" + (f", or give a checkpoint such as {found[-1]}" if found else "")


def _checkpoints(run: Path) -> list[Path]:
    return sorted(path for path in (run / CHECKPOINTS).glob("step-*") if is_checkpoint(path))


def model_key(place: str) -> str:
    """Identity of the model at ``place``; a checkpoint's is the hash of its manifest. `UserError` for a damaged one."""
    from tastemaker.backbone.load import identity

    return f"sha256:{_checkpoint_sha(Path(place))}" if is_checkpoint(place) else identity(place)


def adapter_sha(place: Path) -> str:
    """Identity of the adapter at ``place``, as `model_key`; of a file its hash."""
    return _checkpoint_sha(place) if is_checkpoint(place) else files.sha256_file(place)


def _checkpoint_sha(checkpoint: Path) -> str:
    """The manifest has the hashes of weights, average and of the state, which names the run's recipe and data."""
    if wrong := manifest.damage(checkpoint, (WEIGHTS, AVERAGE), only=True):
        raise UserError(f"{checkpoint}: damaged checkpoint ({wrong}); give another one")
    return files.sha256_file(checkpoint / manifest.NAME)


def load_weights(model: str, adapter: str | None, scale: float, dtype: DType, workshop: Path) -> Backbone:
    """The model at a `model_place` with the adapter at an `adapter_place` on, ``scale`` as strong.

    What is made of checkpoints lies in ``workshop`` for a moment. Raises `UserError` as `backbone.load.load` does, and
    for a checkpoint that is another model's.
    """
    from tastemaker.backbone.load import load

    try:
        if is_checkpoint(model):
            run = trained(Path(model))
            model = str(_handed_over(Path(model), run.model, run.revision, "float32", workshop / "model"))
        if adapter is not None and is_checkpoint(adapter):
            adapter = str(_handed_over(Path(adapter), model, None, dtype, workshop / "adapter"))
        return load(model, dtype, adapter=adapter, adapter_scale=scale)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _handed_over(checkpoint: Path, model: str, revision: str | None, dtype: DType, folder: Path) -> Path:
    """Write what the run would have handed over after that step, its average where it has one."""
    from safetensors.torch import load_file

    from tastemaker.backbone.adapter import attach
    from tastemaker.backbone.load import load

    choice = trained(checkpoint).adapter
    trainable = attach(load(model, dtype, revision, "cpu"), choice, seed=0, reference=False)
    tensors = load_file(checkpoint / AVERAGE) or load_file(checkpoint / WEIGHTS)
    _put(tensors, trainable.parameters, f"{checkpoint}: not weights of {model}")
    folder.mkdir(parents=True)
    trainable.save(folder)
    return folder / choice.artifact


def _put(tensors: Mapping[str, Tensor], parameters: Mapping[str, Tensor], problem: str) -> None:
    import torch

    for name in sorted({*tensors, *parameters}):
        if name not in tensors or name not in parameters or tensors[name].shape != parameters[name].shape:
            raise UserError(f"{problem} ({name}); give the --model that the run was trained on")
    with torch.no_grad():
        for name, tensor in tensors.items():
            parameters[name].copy_(tensor)
