"""LoRA weights outside a model: put on a denoiser from a file, taken out of it, written as diffusers reads them."""

from __future__ import annotations

import json
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tastemaker.backbone.choice import Lora
from tastemaker.backbone.source import one_line
from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer
    from torch import Tensor, nn

    from tastemaker.backbone.backbone import Backbone

METADATA = "lora_adapter_metadata"
"""Entry of the file's header in which diffusers looks for peft's configuration."""
KOHYA_DORA = "dora_scale"
MAGNITUDE = ".lora_magnitude_vector"


@dataclass(frozen=True, eq=False)
class Factors:
    """One layer's adapter: ``down`` A [r, in, …], ``up`` B [out, r, …]; DoRA's ``magnitude`` [out] or none."""

    down: Tensor
    up: Tensor
    alpha: float
    rslora: bool = False
    magnitude: Tensor | None = None

    @property
    def rank(self) -> int:
        """r."""
        return len(self.down)

    @property
    def scale(self) -> float:
        """What B A is multiplied with."""
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)


Layers = Mapping[str, Factors]
"""Name of a layer of the denoiser → its adapter."""


def find(path: str | Path) -> Path:
    """The .safetensors file of an adapter that is given as a file or a folder; `UserError` when there is none."""
    place = Path(path)
    if place.is_file() and place.suffix == ".safetensors":
        return place
    files = sorted(place.glob("*.safetensors"))
    known = [file for file in files if file.name == Lora.artifact]
    if len(known or files) != 1:
        reason = f"{len(files)} .safetensors files in it, none called {Lora.artifact}" if files else "no such adapter"
        raise UserError(f"{path}: {reason}; give the folder or the .safetensors file of LoRA weights")
    return (known or files)[0]


def put_on(backbone: Backbone, path: str | Path, adapter: str) -> None:
    """Put the weights of a file on the denoiser as ``adapter``, in float32 and without dropout.

    Raises `UserError` for a file that is no LoRA of this denoiser alone.
    """
    from safetensors import SafetensorError
    from torch import nn

    file, pipeline = find(path), backbone.pipeline()
    try:
        _refuse_kohya_dora(file)
        with one_more_adapter():
            pipeline.load_lora_weights(file.parent, weight_name=file.name, adapter_name=adapter, use_safetensors=True)
        weights = read(pipeline, file, backbone.denoiser.config if backbone.part == "unet" else None)
    except (OSError, ValueError, KeyError, TypeError, AssertionError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{path}: not LoRA weights of this model ({one_line(error)})") from error
    if not any(layers(backbone.denoiser, adapter)):
        raise UserError(f"{path}: not LoRA weights of this model (none for its {backbone.part})")
    for name, part in pipeline.components.items():
        if isinstance(part, nn.Module) and part is not backbone.denoiser and any(layers(part, adapter)):
            raise UserError(f"{path}: has weights for the {name} too, which is not trained; give a file without them")
    for _, layer in layers(backbone.denoiser, adapter):
        layer.lora_dropout[adapter] = nn.Identity()
    for name, parameter in parameters(backbone.denoiser, adapter).items():
        value = weights.get(f"{backbone.part}.{name.replace(f'{MAGNITUDE}.weight', MAGNITUDE)}")
        if value is None:
            raise UserError(f"{path}: not LoRA weights of this model (lacks {name})")
        parameter.data = value.to(parameter.device).float().reshape(parameter.shape)


def read(pipeline: Any, source: Path | dict[str, Tensor], unet: Any = None) -> dict[str, Tensor]:
    """The weights in a file, or in what would be one, under peft's names; ``unet`` is a UNet's configuration.

    Read apart from the model, because what is put on a model is rounded to its number format.
    """
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    options: dict[str, Any] = {} if unet is None else {"unet_config": unet}
    if isinstance(source, Path):
        options |= {"weight_name": source.name, "use_safetensors": True}
    found = pipeline.lora_state_dict(source.parent if isinstance(source, Path) else source, **options)
    tensors: dict[str, Tensor] = found[0] if isinstance(found, tuple) else found
    return tensors if unet is None else convert_unet_state_dict_to_peft(tensors)


@contextmanager
def one_more_adapter() -> Iterator[None]:
    """peft warns of a model that has several adapters; inside, that is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        yield


def layers(network: nn.Module, adapter: str) -> Iterator[tuple[str, LoraLayer]]:
    """Name and module of every layer that has ``adapter``."""
    from peft.tuners.lora import LoraLayer

    for name, module in network.named_modules():
        if isinstance(module, LoraLayer) and adapter in module.lora_A:
            yield name, module


def parameters(network: nn.Module, adapter: str) -> dict[str, nn.Parameter]:
    """The weights of ``adapter`` sorted by name, the adapter's own name left out of theirs."""
    marked = f".{adapter}."
    found = {
        name.replace(marked, "."): parameter
        for name, parameter in network.named_parameters()
        if marked in name.partition(".lora_")[2]
    }
    return dict(sorted(found.items()))


def taken_out(network: nn.Module, adapter: str, times: float = 1.0) -> Layers:
    """A copy of ``adapter`` on the CPU, ``times`` as strong."""
    config = cast(Any, network).peft_config[adapter]
    found = {}
    for name, layer in layers(network, adapter):
        magnitude = layer.lora_magnitude_vector[adapter].weight if adapter in layer.lora_magnitude_vector else None
        down, up, magnitude = map(_copy, (layer.lora_A[adapter].weight, layer.lora_B[adapter].weight, magnitude))
        found[name] = Factors(down, up, layer.lora_alpha[adapter] * times, config.use_rslora, magnitude)
    return found


def joined(below: Layers, above: Layers) -> Layers:
    """One adapter that does what both do: [B₁s₁ B₂s₂] [A₁; A₂], alpha = rank. Not for DoRA, which is no sum."""
    import torch

    found = {}
    for name in sorted({*below, *above}):
        both = [layers[name] for layers in (below, above) if name in layers]
        assert all(one.magnitude is None for one in both)
        down = torch.cat([one.down for one in both])
        found[name] = Factors(down, torch.cat([one.up * one.scale for one in both], dim=1), float(len(down)))
    return found


def write(path: Path, part: str, adapter: Layers) -> None:
    """Write ``adapter`` for `pipeline.load_lora_weights`, with ``part`` before every name.

    alpha and rank stand in the header, where diffusers looks for them; else it would take alpha = rank. One header
    entry alone, because safetensors writes several in random order.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    for name, one in adapter.items():
        tensors |= {f"{part}.{name}.lora_A.weight": one.down, f"{part}.{name}.lora_B.weight": one.up}
        tensors |= {} if one.magnitude is None else {f"{part}.{name}{MAGNITUDE}": one.magnitude}
    header = {f"{part}.{name}": value for name, value in config(adapter).items()}
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, {METADATA: json.dumps(header, sort_keys=True)})


def stored(path: Path) -> tuple[str, Layers]:
    """Part and adapter of a file that `write` wrote. Raises `UserError` for a damaged one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = json.loads(file.metadata()[METADATA])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not readable as LoRA weights ({one_line(error)}); train again") from error
    part = next(iter(tensors)).partition(".")[0]
    said = {name.removeprefix(f"{part}."): value for name, value in header.items()}
    alphas, rslora = said.get("alpha_pattern", {}), bool(said.get("use_rslora"))
    found = {}
    for name in sorted({name.partition(".lora_")[0] for name in tensors}):
        layer = name.removeprefix(f"{part}.")
        down, up = (tensors[f"{name}.lora_{letter}.weight"] for letter in "AB")
        alpha = alphas.get(f"^{layer}", said["lora_alpha"])
        found[layer] = Factors(down, up, alpha, rslora, tensors.get(f"{name}{MAGNITUDE}"))
    return part, found


def config(adapter: Layers) -> dict[str, Any]:
    """`peft.LoraConfig`'s arguments: the usual rank and alpha, and patterns for layers that differ."""
    ranks = {name: one.rank for name, one in adapter.items()}
    alphas = {name: one.alpha for name, one in adapter.items()}
    first = next(iter(adapter.values()))
    found: dict[str, Any] = {"r": _usual(ranks), "lora_alpha": _usual(alphas), "target_modules": sorted(adapter)}
    patterns = {"rank_pattern": _others(ranks), "alpha_pattern": _others(alphas)}
    flags = {"use_dora": first.magnitude is not None, "use_rslora": first.rslora}
    return found | {name: value for name, value in (patterns | flags).items() if value}


def _usual(values: Mapping[str, Any]) -> Any:
    return Counter(values.values()).most_common(1)[0][0]


def _others(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is not usual, keyed by a regular expression that fits one layer alone."""
    usual = _usual(values)
    return {f"^{name}": value for name, value in values.items() if value != usual}


def _copy(weight: Tensor | None) -> Any:
    return None if weight is None else weight.detach().cpu().float().contiguous()


def _refuse_kohya_dora(file: Path) -> None:
    """Diffusers would leave the magnitudes out without an error."""
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        if any(KOHYA_DORA in name for name in opened.keys()):  # noqa: SIM118
            raise ValueError("a DoRA in kohya's format, which diffusers does not read; give diffusers' format")
