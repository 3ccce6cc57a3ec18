"""What of a backbone is trained, and the switch to the reference it is compared with."""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tastemaker.backbone.backbone import Backbone
from tastemaker.backbone.choice import Adapter, Full, Lora
from tastemaker.backbone.load import bars_on_terminals_only
from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, atomic_folder

WEIGHTS = "pytorch_lora_weights.safetensors"
MODEL = "model"


class Trainable(Protocol):
    """The trained part of a backbone."""

    parameters: dict[str, nn.Parameter]
    """The trained weights in float32, sorted by name."""

    def reference(self) -> AbstractContextManager[None]:
        """Inside, `Backbone.forward` is the model before training, in the same number format and batch layout."""
        ...

    def save(self, folder: Path) -> None:
        """Write what the user takes away into ``folder``."""
        ...


def attach(backbone: Backbone, choice: Adapter, seed: int, reference: bool = True) -> Trainable:
    """Make ``choice`` of the backbone trainable; until the first update the policy is the reference, bit for bit.

    The first values of adapters depend on ``seed`` and their names alone. Full training keeps a frozen copy for
    `Trainable.reference` unless ``reference`` is False. Raises `UserError` for targets that the model does not have.
    """
    match choice:
        case Lora():
            return LoraWeights(backbone, choice, seed)
        case Full():
            return FullWeights(backbone, reference)


class LoraWeights:
    """Adapters inside the denoiser; the reference is the denoiser with its adapters off."""

    def __init__(self, backbone: Backbone, choice: Lora, seed: int) -> None:
        from peft import LoraConfig, inject_adapter_in_model
        from peft.tuners.tuners_utils import BaseTunerLayer

        self._choice = choice
        try:
            inject_adapter_in_model(LoraConfig(**_config(choice)), backbone.denoiser)
        except ValueError as error:
            raise UserError(f"adapter.targets: {', '.join(choice.targets)}: no such layers in this model") from error
        self._layers = [layer for layer in backbone.denoiser.modules() if isinstance(layer, BaseTunerLayer)]
        named = {
            name.replace(".default.", "."): p for name, p in backbone.denoiser.named_parameters() if ".lora_" in name
        }
        self.parameters = dict(sorted(named.items()))
        for name, parameter in self.parameters.items():
            parameter.data = _first(name, parameter, seed).to(parameter.device)

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Adapters off inside."""
        self._switch(False)
        try:
            yield
        finally:
            self._switch(True)

    def save(self, folder: Path) -> None:
        """Write ``pytorch_lora_weights.safetensors``, which `pipeline.load_lora_weights` reads.

        alpha stands in the header, where diffusers looks for it; else it would take alpha = rank. One header entry
        alone, because safetensors writes several in random order.
        """
        from safetensors.torch import save_file

        tensors = {f"unet.{name}": parameter.detach().cpu().contiguous() for name, parameter in self.parameters.items()}
        config = {f"unet.{name}": value for name, value in _config(self._choice).items()}
        with atomic_file(folder / WEIGHTS) as temporary:
            save_file(tensors, temporary, {"lora_adapter_metadata": json.dumps(config, sort_keys=True)})

    def _switch(self, on: bool) -> None:
        for layer in self._layers:
            layer.enable_adapters(on)


class FullWeights:
    """Every weight of the denoiser; the reference is a frozen copy of it."""

    def __init__(self, backbone: Backbone, reference: bool) -> None:
        backbone.denoiser.float()
        self._backbone = backbone
        self._frozen = copy.deepcopy(backbone.denoiser) if reference else None
        backbone.denoiser.requires_grad_(True)
        self.parameters = dict(sorted(backbone.denoiser.named_parameters()))

    @contextmanager
    def reference(self) -> Iterator[None]:
        """The frozen copy takes the denoiser's place inside."""
        assert self._frozen is not None, "attached without a reference"
        policy, self._backbone.denoiser = self._backbone.denoiser, self._frozen
        try:
            yield
        finally:
            self._backbone.denoiser = policy

    def save(self, folder: Path) -> None:
        """Write the pipeline folder ``model/`` for `DiffusionPipeline.from_pretrained`, in place of an older one."""
        with atomic_folder(folder / MODEL) as temporary, bars_on_terminals_only():
            self._backbone.pipeline().save_pretrained(temporary)
            shutil.rmtree(folder / MODEL, ignore_errors=True)


def _config(choice: Lora) -> dict[str, Any]:
    """`peft.LoraConfig`'s arguments, only those that every version knows."""
    alpha = choice.rank if choice.alpha is None else choice.alpha
    return {"r": choice.rank, "lora_alpha": alpha, "target_modules": list(choice.targets)}


def _first(name: str, parameter: Tensor, seed: int) -> Tensor:
    """peft's own distributions, drawn by key: A uniform in ±1/√inputs, B = 0."""
    if ".lora_B." in name:
        return torch.zeros(parameter.shape)
    bound = 1 / math.sqrt(parameter.shape[1:].numel())
    values = draw.numbers(seed, "lora", name).uniform(-bound, bound, tuple(parameter.shape))
    return torch.from_numpy(values).float()
