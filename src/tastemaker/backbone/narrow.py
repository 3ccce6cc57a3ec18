"""Adapters on a bfloat16 model: weights in float32, products in bfloat16, as under autocast.

peft would widen every input to float32: a copy of it that lives until the backward pass, products at a fifteenth of the
speed, and sums as wide as the layer. What the adapter adds is rounded to bfloat16 with the layer's output in any case.
Not in float16, in which the first steps of an adapter (about the learning rate) have few digits; not for DoRA, whose
norms need more of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer


def narrow(layer: LoraLayer) -> None:
    """Let every adapter of ``layer`` compute in the format of its input, where that is bfloat16."""
    if layer.get_base_layer().weight.dtype == torch.bfloat16 and not layer.lora_magnitude_vector:
        layer.cast_input_dtype_enabled = False
        for factors in (layer.lora_A, layer.lora_B):
            for name, factor in factors.items():
                factors[name] = _narrowed(factor)


class Linear(nn.Linear):
    """Weights are rounded to the input's number format on their way in."""

    def forward(self, x: Tensor) -> Tensor:
        """W x."""
        return linear(x, self.weight.to(x.dtype), self.bias)


class Conv2d(nn.Conv2d):
    """Weights are rounded to the input's number format on their way in."""

    def forward(self, x: Tensor) -> Tensor:
        """W ∗ x."""
        return self._conv_forward(x, self.weight.to(x.dtype), self.bias)


def _narrowed(factor: Any) -> nn.Module:
    """``factor`` with the same weights."""
    new: Linear | Conv2d
    if isinstance(factor, nn.Linear):
        new = Linear(factor.in_features, factor.out_features, device="meta")
    else:
        options = {name: getattr(factor, name) for name in ("kernel_size", "stride", "padding", "dilation", "groups")}
        new = Conv2d(factor.in_channels, factor.out_channels, **options, device="meta")
    new.weight, new.bias = factor.weight, factor.bias
    return new
