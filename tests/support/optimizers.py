"""Weights to move, every kind of optimizer, and one that keeps what the packing libraries keep."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Parameter
from torch.testing._internal.two_tensor import TwoTensor

from tastemaker.train import optimizer
from tastemaker.train.choice import PACKED, Adafactor, AdamW

OWN = [AdamW(), AdamW(betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1), Adafactor(weight_decay=0.1)]
EXTRAS = [pytest.param(AdamW(kind=kind), id=kind, marks=pytest.mark.extras) for kind in PACKED]
SHAPES = {"large": (16, 512), "ragged": (4100,), "small": (3, 5), "kernel": (4, 2, 3, 3), "vector": (7,)}
"""For the packing kinds: whole blocks, a short last block, and too small to pack."""


def weights_of(shapes: dict[str, tuple[int, ...]], seed: int = 0, device: str = "cpu") -> dict[str, Parameter]:
    random = torch.Generator().manual_seed(seed)
    return {name: Parameter(torch.randn(shape, generator=random).to(device)) for name, shape in shapes.items()}


def go(weights: dict[str, Parameter], moved: torch.optim.Optimizer, steps: range) -> None:
    """Steps with gradients keyed by the step, at a rate that changes."""
    for step in steps:
        for name, gradient in weights_of({name: tuple(w.shape) for name, w in weights.items()}, 100 + step).items():
            weights[name].grad = gradient.detach().to(weights[name].device) * 1e-3
        optimizer.apply(moved, 1e-2 / (1 + step))
        optimizer.clear(moved)


class Packing(torch.optim.Optimizer):
    """Keeps what bitsandbytes and torchao keep: a count that is no tensor, a shared table, a float8, a subclass."""

    def __init__(self, weights: list[Parameter], lr: float, **_: Any) -> None:
        super().__init__(weights, {"lr": torch.tensor(lr)})
        self.table, self.rate = torch.arange(4.0), self.param_groups[0]["lr"]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # noqa: ARG002
        for weight in self.param_groups[0]["params"]:
            state = self.state[weight]
            if not state:
                pair = TwoTensor(torch.zeros_like(weight), torch.zeros_like(weight))
                codes = torch.zeros_like(weight, dtype=torch.float8_e4m3fn)
                state.update(step=0, table=self.table, codes=codes, pair=pair)
            state["step"] += 1
            state["pair"].a.lerp_(weight.grad, 0.1)
            state["pair"].b.add_(weight.grad.square())
            state["codes"].copy_((state["codes"].float() + weight.grad).to(torch.float8_e4m3fn))
            memory = state["pair"].a / (1 + state["pair"].b) + state["codes"].float() + self.table[3]
            weight.sub_(self.param_groups[0]["lr"] * weight)  # −0 becomes 0 even at rate 0, as torchao's does
            weight.sub_(self.param_groups[0]["lr"] / state["step"] * memory)
