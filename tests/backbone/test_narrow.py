"""Adapters of a bfloat16 model: what they compute in, and that they learn the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch.nn.functional import cosine_similarity

from support.adapters import inputs, update
from support.models import save_tiny_sd
from tastemaker.backbone import adapter, lora_file
from tastemaker.backbone.choice import Lora
from tastemaker.backbone.load import load

WIDE = (torch.float32, torch.float32)
TARGETS = ("to_q", "to_out.0", "conv1", "proj_in")
"""Linear layers and convolutions of 1 × 1 and 3 × 3."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("narrow") / "model")


def attached(folder: Path, dtype: str, **options: Any) -> tuple[Any, Any]:
    backbone = load(folder, dtype=dtype)
    trainable = adapter.attach(backbone, Lora(rank=4, targets=TARGETS, **options), seed=0)
    update(backbone, trainable)
    return backbone, trainable


def seen(backbone: Any) -> set[tuple[torch.dtype, torch.dtype]]:
    """Number formats of what goes into A and comes out of B."""
    found: list[tuple[torch.dtype, torch.dtype]] = []
    entered: list[torch.dtype] = []
    for _, layer in lora_file.layers(backbone.denoiser, adapter.TRAINED):
        layer.lora_A[adapter.TRAINED].register_forward_hook(lambda _, given, __: entered.append(given[0].dtype))
        layer.lora_B[adapter.TRAINED].register_forward_hook(lambda _, __, out: found.append((entered.pop(), out.dtype)))
    backbone.forward(*inputs(backbone))
    return set(found)


@pytest.mark.parametrize(
    ("dtype", "options", "formats"),
    [
        ("bfloat16", {}, (torch.bfloat16, torch.bfloat16)),
        ("bfloat16", {"dora": True}, WIDE),
        ("float16", {}, WIDE),
        ("float32", {}, WIDE),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value).replace("torch.", ""),
)
def test_products_are_narrow_in_bfloat16_alone(folder: Path, dtype: str, options: Any, formats: Any) -> None:
    backbone, trainable = attached(folder, dtype, **options)
    assert seen(backbone) == {formats}
    assert Lora(**options).widens(dtype) == (dtype != "float32" and formats == WIDE)
    assert {weight.dtype for weight in trainable.parameters.values()} == {torch.float32}


def gradient(folder: Path) -> torch.Tensor:
    backbone, trainable = attached(folder, "bfloat16")
    backbone.forward(*inputs(backbone)).output.float().square().mean().backward()
    grads = [weight.grad for weight in trainable.parameters.values()]
    assert {grad.dtype for grad in grads if grad is not None} == {torch.float32}
    return torch.cat([grad.flatten() for grad in grads if grad is not None])


def test_the_gradient_is_the_wide_one_up_to_rounding(folder: Path) -> None:
    narrow = gradient(folder)
    with mock.patch.object(adapter, "narrow"):
        wide = gradient(folder)
    assert not torch.equal(narrow, wide)
    assert cosine_similarity(narrow, wide, dim=0) > 0.999
    assert float(narrow.norm()) == pytest.approx(float(wide.norm()), rel=0.01)


def test_a_stride_is_kept(folder: Path) -> None:
    backbone = load(folder, dtype="bfloat16")
    down = "down_blocks.0.downsamplers.0.conv"
    trainable = adapter.attach(backbone, Lora(rank=2, targets=(down,)), seed=0)
    update(backbone, trainable)
    backbone.forward(*inputs(backbone)).output.float().sum().backward()
    assert [weight.grad is not None for weight in trainable.parameters.values()] == [True, True]
