"""What a method gives to each denoising step: in theory from its recipe, in fact from a run's memory.

Legend: T steps, t = 0 nearly clean; p(t) chance of a visit; ω(t) weight; m margin; C(t) stepwise correction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base import files
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from tastemaker.method.method import Method
    from tastemaker.process.prediction import Head
    from tastemaker.process.schedule import Schedule
    from tastemaker.train.recipe import Shared

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

RECIPE, MEMORY = "recipe.yaml", "memory.safetensors"
FINE = 64
"""Points of the unit interval for each step, to find p(t)."""


@dataclass(frozen=True)
class Recorded:
    """What a run's memory holds."""

    pairs: Floats
    """[2, T]: pairs seen at each step with margin ≤ 0 and > 0."""
    credit: Floats
    """[2, T]: sums of ω(t) |∂L/∂n_θ^w| over them."""
    log_ratio: Floats | None = None
    """[role, side, T]: the recorded log r."""
    history: Mapping[int, Floats] = field(default_factory=dict)
    """The same after so many optimizer steps."""


@dataclass(frozen=True)
class Entry:
    """One method of the page. ``chance`` and ``weight`` are [T] each."""

    name: str
    method: Method
    pairs_a_step: int
    chance: Floats
    weight: Floats
    recorded: Recorded | None = None

    @property
    def steps(self) -> int:
        """T."""
        return len(self.weight)

    @property
    def share(self) -> Floats:
        """p(t) ω(t) / Σ p ω: the share of the credit at margin 0."""
        credit = self.chance * self.weight
        return credit / credit.sum()


def from_recipe(path: Path, model: str | None = None) -> Entry:
    """The entry of a recipe; ``model`` takes the place of its model. Raises `UserError` as `read_process` does."""
    from tastemaker.train.recipe import read_any

    return _entry(path.stem, read_any(path), model, None)


def from_run(folder: Path, model: str | None = None) -> Entry:
    """The entry of a trained run. Raises `UserError` when ``folder`` is none, or of before this file was written."""
    from tastemaker.train.recipe import read_any

    if not (folder / MEMORY).is_file():
        raise UserError(f"{folder / MEMORY}: no such file; give the output folder of `tastemaker train`")
    return _entry(folder.resolve().name, read_any(folder / RECIPE), model, read_memory(folder / MEMORY))


def _entry(name: str, recipe: Shared, model: str | None, recorded: Recorded | None) -> Entry:
    import torch

    schedule, head = read_process(model or recipe.model, recipe.revision)
    recipe.method.require(schedule, head)
    weight = recipe.method.credit.weight(torch.arange(schedule.steps), schedule, head).numpy()
    if recorded is not None and recorded.pairs.shape[-1] != schedule.steps:
        raise UserError(f"{name}: trained on {recorded.pairs.shape[-1]} steps, the model has {schedule.steps}")
    return Entry(
        name, recipe.method, recipe.train.pairs_a_step, _chance(recipe.method, schedule.steps), weight, recorded
    )


def _chance(method: Method, steps: int) -> Floats:
    """p(t) [T]: the share of the unit interval that is drawn to each step."""
    import torch

    u = (torch.arange(FINE * steps, dtype=torch.float64) + 0.5) / (FINE * steps)
    found: Floats = (method.credit.when.draw(u, steps).bincount(minlength=steps).double() / len(u)).numpy()
    return found


def read_process(model: str, revision: str | None) -> tuple[Schedule, Head]:
    """Schedule and head of ``model`` from its scheduler's configuration: no weight is read.

    Raises `UserError` when the model is not on this machine.
    """
    import diffusers

    from tastemaker.backbone.flow import flow_process
    from tastemaker.backbone.parts import noise_process
    from tastemaker.train.headers import model_folder

    folder = model_folder(model, revision)
    if folder is None:
        raise UserError(
            f"model: {model}: not on this machine; give --model with a diffusers folder of the same noise schedule "
            "(that of `tastemaker world unpack` has Stable Diffusion 1.5's)"
        )
    config = files.read_json(folder / "scheduler" / "scheduler_config.json")
    if "FlowMatch" in str(config.get("_class_name")):
        return flow_process(diffusers.FlowMatchEulerDiscreteScheduler.from_config(config)), "flow"
    return noise_process(diffusers.DDPMScheduler.from_config(config))


def read_memory(path: Path) -> Recorded:
    """What a run's ``memory.safetensors`` says. Raises `UserError` for a damaged file."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = {name: np.asarray(value, np.float64) for name, value in load_file(path).items()}
        pairs, _, credit = tensors["trace"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path}: damaged ({error}); train again into another folder") from None
    history = {int(name[8:]): value for name, value in sorted(tensors.items()) if name.startswith("history/")}
    return Recorded(pairs, credit, tensors.get("record/log_ratio"), history)


def corrections(log_ratio: Floats) -> Floats:
    """C(t) = Σ_{k>t} log r_k along the last axis."""
    import numpy as np

    from_t = np.flip(np.cumsum(np.flip(log_ratio, -1), -1), -1)
    return np.concatenate([from_t[..., 1:], np.zeros_like(from_t[..., :1])], -1)


def net(correction: Floats) -> Floats:
    """What the correction adds to the margin: (C_θ^w − C_r^w) − (C_θ^l − C_r^l), from [role, side, T]."""
    ratio: Floats = correction[0] - correction[1]
    difference: Floats = ratio[0] - ratio[1]
    return difference


def binned(values: Floats, bins: int) -> Floats:
    """Sums of [..., T] over ``bins`` equal parts of the steps."""
    import numpy as np

    edges = np.linspace(0, values.shape[-1], bins + 1).round().astype(int)
    found: Floats = np.add.reduceat(values, edges[:-1], axis=-1)
    return found


def effective(recorded: Recorded, bins: int) -> Floats:
    """p(t) · credit, by sign of the margin, [2, bins]: sums in each part of the steps, over all pairs.

    The three curves of the DDE paper's argument in one: how often a step comes, how far from saturated the link is
    there, and its weight.
    """
    return binned(recorded.credit, bins) / max(recorded.pairs.sum(), 1.0) * bins
