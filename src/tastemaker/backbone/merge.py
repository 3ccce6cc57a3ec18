"""Adapters folded into the weights of a denoiser, for a pipeline that needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tastemaker.backbone import lora_file

if TYPE_CHECKING:
    from torch import Tensor

    from tastemaker.backbone.backbone import Backbone


def merge(backbone: Backbone, adapter: str) -> None:
    """Fold ``adapter`` into the denoiser: W + s B A, with DoRA's scale; and take every adapter off.

    Computed in float32 and rounded once to the model's format. The output is the one with the adapter on up to
    rounding.
    """
    for _, layer in lora_file.layers(backbone.denoiser, adapter):
        weight = layer.get_base_layer().weight
        weight.data = _folded(layer, adapter).to(weight.dtype)
    denoiser: Any = backbone.denoiser
    denoiser.unload_lora()


def _folded(layer: Any, adapter: str) -> Tensor:
    """The layer's weight [out, in, …] in float32."""
    weight: Tensor = layer.get_base_layer().weight.detach().float()
    weight = weight + layer.get_delta_weight(adapter).detach().float()
    if adapter not in layer.lora_magnitude_vector:
        return weight
    rows = layer.lora_magnitude_vector[adapter].weight.detach().flatten() / weight.flatten(1).norm(dim=1)
    return weight * rows.view(-1, *[1] * (weight.dim() - 1))
