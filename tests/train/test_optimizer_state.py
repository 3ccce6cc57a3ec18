"""What an optimizer remembers: written, restored bit for bit, refused, and as large as foretold."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Parameter

from support.optimizers import EXTRAS, OWN, SHAPES, Packing, go, weights_of
from tastemaker.base.errors import UserError
from tastemaker.train import optimizer
from tastemaker.train.choice import Adafactor, AdamW
from tastemaker.train.config import Settings


@pytest.mark.parametrize("kind", [*OWN, *EXTRAS], ids=lambda kind: kind.kind)
def test_a_restored_state_goes_on_bit_for_bit(kind: AdamW | Adafactor) -> None:
    _resume(kind)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [*OWN, *EXTRAS], ids=lambda kind: kind.kind)
def test_a_restored_state_goes_on_bit_for_bit_on_a_gpu(kind: AdamW | Adafactor) -> None:
    _resume(kind, "cuda")


def test_a_restored_packed_state_goes_on_bit_for_bit(stand_in: AdamW) -> None:
    moved = _resume(stand_in)
    assert isinstance(moved, Packing)
    assert moved.param_groups[0]["lr"] is moved.rate  # filled, not replaced: torchao compiles its step for this tensor


def _resume(kind: AdamW | Adafactor, device: str = "cpu") -> torch.optim.Optimizer:
    """Six steps at once and with a file of safetensors in between end in the same bits; loading moves no weight."""
    from safetensors.torch import load, save

    settings = Settings(optimizer=kind)
    whole = weights_of(SHAPES, device=device)
    moved = optimizer.make(whole, settings)
    assert optimizer.state_tensors(moved, whole) == {}
    go(whole, moved, range(3))
    with torch.no_grad():
        whole["small"][0, 0] = -0.0
    copied = {name: Parameter(weight.detach().clone()) for name, weight in whole.items()}
    stored = load(save(optimizer.state_tensors(moved, whole)))
    assert all(bool(value.isfinite().all()) for value in stored.values())

    restored = optimizer.make(copied, settings)
    optimizer.load_state_tensors(restored, copied, stored)
    assert bits(copied) == bits(whole)
    assert bits(optimizer.state_tensors(restored, copied)) == bits(stored)
    go(whole, moved, range(3, 6))
    go(copied, restored, range(3, 6))
    assert bits(copied) == bits(whole)
    assert bits(optimizer.state_tensors(restored, copied)) == bits(optimizer.state_tensors(moved, whole))
    return moved


def bits(tensors: Any) -> dict[str, bytes]:
    return {
        name: value.detach().reshape(-1).view(torch.uint8).cpu().numpy().tobytes() for name, value in tensors.items()
    }


def test_a_state_of_another_layout_is_refused() -> None:
    weights = weights_of(SHAPES)
    moved = optimizer.make(weights, Settings())
    go(weights, moved, range(1))
    stored = optimizer.state_tensors(moved, weights)
    other = optimizer.make(weights, Settings(optimizer=Adafactor()))
    with pytest.raises(UserError, match="optimizer state is not laid out as torch"):
        optimizer.load_state_tensors(other, weights, stored)


@pytest.mark.parametrize("kind", [AdamW(), Adafactor(), *EXTRAS], ids=lambda kind: kind.kind)
def test_the_state_is_as_large_as_foretold(kind: AdamW | Adafactor) -> None:
    weights = weights_of(SHAPES)
    moved = optimizer.make(weights, Settings(optimizer=kind))
    go(weights, moved, range(1))
    sizes = {name: value.nbytes for name, value in optimizer.state_tensors(moved, weights).items()}
    counted = sum(size for name, size in sizes.items() if not name.endswith("/step"))
    assert kind.state_bytes(SHAPES.values()) == counted


def test_bytes_of_large_weights_by_hand() -> None:
    """Two moments: float32 is 8; 8 bits with a scale per 256 are 2 + 8/256; 4 bits with one per 128, 1 + 8/128.

    Below 4096 elements they are float32, and in torchao where the last block would be short.
    """
    shape = (4096, 4096)
    expected = {"adamw": 8, "adamw8bit": 2.03125, "torchao-adamw8bit": 2.03125, "torchao-adamw4bit": 1.0625}
    for kind, size in expected.items():
        assert AdamW(kind=kind).state_bytes([shape]) / 4096**2 == pytest.approx(size, abs=2e-4)
    assert AdamW(kind="torchao-adamwfp8").state_bytes([(64, 64)]) == 2 * 4096 + 8 * 16
    assert AdamW(kind="torchao-adamwfp8").state_bytes([(4095,), (4097,)]) == 8 * (4095 + 4097)
    assert AdamW(kind="adamw8bit").state_bytes([(4095,), (4097,)]) == 8 * 4095 + 2 * 4097 + 8 * 17 + 2 * 256 * 4
    assert Adafactor().state_bytes([shape, (5,)]) == 4 * (2 * 4096 + 5)
