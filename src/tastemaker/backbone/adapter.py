"""What of a backbone is trained, and the switch to the reference it is compared with."""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tastemaker.backbone import lora_file
from tastemaker.backbone.backbone import Backbone
from tastemaker.backbone.choice import Adapter, Full, Lora
from tastemaker.backbone.load import bars_on_terminals_only
from tastemaker.backbone.narrow import narrow
from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_folder

TRAINED, START, BELOW = "default", "start", "below"
"""What the adapters are called inside the denoiser: the trained one, its first values, and the one it is put on."""


class Trainable(Protocol):
    """The trained part of a backbone."""

    parameters: dict[str, nn.Parameter]
    """The trained weights in float32, sorted by name."""

    def reference(self) -> AbstractContextManager[None]:
        """Inside, `Backbone.forward` is the model before training, in the same number format and batch layout."""
        ...

    def dropout(self, *key: draw.Key) -> AbstractContextManager[None]:
        """Inside, the policy drops what ``key`` (and the seed) say; `reference` still drops nothing.

        Put forward *and* backward pass inside: with gradient checkpointing the latter runs the forward pass again.
        Nothing happens where the recipe has no dropout.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what the user takes away into ``folder``."""
        ...


def attach(backbone: Backbone, choice: Adapter, seed: int, reference: bool = True) -> Trainable:
    """Make ``choice`` of the backbone trainable; until the first update the policy is the reference, bit for bit.

    The first values of adapters depend on ``seed`` and their names alone. Full training keeps a frozen copy for
    `Trainable.reference` unless ``reference`` is False. Raises `UserError` for targets that the model does not have and
    for adapter files that are not its own.
    """
    match choice:
        case Lora():
            return LoraWeights(backbone, choice, seed)
        case Full():
            return FullWeights(backbone, reference)


class LoraWeights:
    """An adapter inside the denoiser; the reference is the denoiser without it, or with its first values.

    With `Lora.start` the file's weights are there twice, trained and frozen.
    """

    def __init__(self, backbone: Backbone, choice: Lora, seed: int) -> None:
        self._backbone, self._seed = backbone, seed
        self._below_scale = choice.on_scale
        for name, path in ((BELOW, choice.on), (START, choice.start), (TRAINED, choice.start)):
            if path is not None:
                lora_file.put_on(backbone, path, name)
        if any(lora_file.MAGNITUDE in name for name in lora_file.parameters(backbone.denoiser, BELOW)):
            raise UserError(f"{choice.on}: a DoRA cannot be added to another adapter; merge it into the model first")
        if choice.start is None:
            _inject(backbone, choice, seed)
        below = [BELOW] if choice.on is not None else []
        self._policy, self._reference = [*below, TRAINED], [*below, START] if choice.start is not None else below
        self.parameters = lora_file.parameters(backbone.denoiser, TRAINED)
        self._frozen = [p for name in (BELOW, START) for p in lora_file.parameters(backbone.denoiser, name).values()]
        self._dropouts = list(_put_dropout(backbone.denoiser, choice.dropout)) if choice.dropout else []
        self._layers = _layers(backbone.denoiser)
        backbone.denoiser.eval()
        for layer in self._layers:
            narrow(layer)
            layer.set_scale(BELOW, choice.on_scale)
        self._switch(self._policy)

    @contextmanager
    def reference(self) -> Iterator[None]:
        """The adapter off, or as it was at the start; neither has dropout."""
        self._switch(self._reference)
        try:
            yield
        finally:
            self._switch(self._policy)

    @contextmanager
    def dropout(self, *key: draw.Key) -> Iterator[None]:
        """Dropout on inside, its draws a function of (seed, ``key``)."""
        if not self._dropouts:
            yield
            return
        with _own_random_numbers(self._backbone.device):
            torch.manual_seed(draw.seed(self._seed, "dropout", *key))
            _set_training(self._dropouts, True)
            try:
                yield
            finally:
                _set_training(self._dropouts, False)

    def save(self, folder: Path) -> None:
        """Write ``pytorch_lora_weights.safetensors``, which `pipeline.load_lora_weights` reads.

        An adapter under the trained one is in it, so that the file is all that the model needs to be what was trained.
        """
        adapter = lora_file.taken_out(self._backbone.denoiser, TRAINED)
        if BELOW in self._policy:
            below = lora_file.taken_out(self._backbone.denoiser, BELOW, self._below_scale)
            adapter = lora_file.joined(below, adapter)
        lora_file.write(folder / Lora.artifact, self._backbone.part, adapter)

    def _switch(self, adapters: Sequence[str]) -> None:
        """Let ``adapters`` work, in this order. peft gives whatever works a gradient, so what is frozen is said."""
        for layer in self._layers:
            layer.enable_adapters(bool(adapters))
            if adapters and layer.active_adapters != list(adapters):
                layer.set_adapter(list(adapters))
        for parameter in self._frozen:
            parameter.requires_grad_(False)
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)


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

    def dropout(self, *_: draw.Key) -> AbstractContextManager[None]:
        """Nothing: full training has no dropout."""
        return nullcontext()

    def save(self, folder: Path) -> None:
        """Write the pipeline folder ``model/`` for `DiffusionPipeline.from_pretrained`, in place of an older one."""
        with atomic_folder(folder / Full.artifact) as temporary, bars_on_terminals_only():
            self._backbone.pipeline().save_pretrained(temporary)
            shutil.rmtree(folder / Full.artifact, ignore_errors=True)


def _inject(backbone: Backbone, choice: Lora, seed: int) -> None:
    """Put a new adapter on, with first values of its own."""
    from peft import LoraConfig, inject_adapter_in_model

    assert choice.rank is not None
    assert choice.targets is not None
    flags = {name: True for name in ("dora", "rslora") if getattr(choice, name)}
    config = LoraConfig(
        r=choice.rank,
        lora_alpha=choice.rank if choice.alpha is None else choice.alpha,
        target_modules=list(choice.targets),
        **{f"use_{name}": value for name, value in flags.items()},
    )
    try:
        with lora_file.one_more_adapter():
            inject_adapter_in_model(config, backbone.denoiser, TRAINED)
    except ValueError as error:
        raise UserError(f"adapter.targets: {', '.join(choice.targets)}: no such layers in this model") from error
    for name, parameter in lora_file.parameters(backbone.denoiser, TRAINED).items():
        if lora_file.MAGNITUDE not in name:
            parameter.data = _first(name, parameter, seed).to(parameter.device)
    for _, layer in lora_file.layers(backbone.denoiser, TRAINED):
        if choice.dora:
            _measure(layer)


def _first(name: str, parameter: Tensor, seed: int) -> Tensor:
    """peft's own distributions, drawn by key: A uniform in ±1/√inputs, B = 0."""
    if ".lora_B." in name:
        return torch.zeros(parameter.shape)
    bound = 1 / math.sqrt(parameter.shape[1:].numel())
    values = draw.numbers(seed, "lora", name).uniform(-bound, bound, tuple(parameter.shape))
    return torch.from_numpy(values).float()


def _measure(layer: Any) -> None:
    """DoRA's first magnitude, ‖W‖ in float32: peft rounds it to the model's format, and then it is not W's."""
    magnitude, weight = layer.lora_magnitude_vector[TRAINED], layer.get_base_layer().weight.detach().float()
    nothing = torch.zeros_like(weight)
    norm = magnitude.get_weight_norm(weight, nothing, scaling=layer.scaling[TRAINED])
    magnitude.weight.data = norm.reshape(magnitude.weight.shape).clone()


def _layers(denoiser: nn.Module) -> list[Any]:
    """Every layer that an adapter is on."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [layer for layer in denoiser.modules() if isinstance(layer, BaseTunerLayer)]


def _put_dropout(denoiser: nn.Module, share: float) -> Iterator[nn.Module]:
    """Give the trained adapter dropout; yields the modules whose training mode switches it on.

    DoRA asks the layer, the others the dropout inside.
    """
    for _, layer in lora_file.layers(denoiser, TRAINED):
        layer.lora_dropout[TRAINED] = nn.Dropout(share)
        yield from (layer, layer.lora_dropout[TRAINED])


def _set_training(modules: Sequence[nn.Module], on: bool) -> None:
    """Set the flags of ``modules`` alone; `nn.Module.train` would set their children's too."""
    for module in modules:
        module.training = on


def _own_random_numbers(place: torch.device) -> AbstractContextManager[None]:
    """Torch's generators are put back as they were after the block."""
    if place.type == "cpu":
        return torch.random.fork_rng(devices=[])
    index = torch.accelerator.current_device_index() if place.index is None else place.index
    return torch.random.fork_rng(devices=[index], device_type=place.type)
