from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch

from support.models import save_tiny_sd
from tastemaker.base.errors import UserError
from tastemaker.train import headers, memory
from tastemaker.train.choice import Adafactor
from tastemaker.train.recipe import Recipe

SD15 = {"cross_attention_dim": 768, "block_out_channels": (320, 640, 1280, 1280), "attention_head_dim": 8}
TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


def recipe(kind: str = "lora", **train: Any) -> Recipe:
    tree = {"model": "m", "data": {"pairs": "p", "cache": "c"}, "adapter": {"kind": kind}, "method": {}, "out": "o"}
    return Recipe.model_validate(tree | {"train": train})


def count_trained(chosen: Recipe, shapes: headers.Shapes) -> int:
    return sum(map(prod, memory.trained_shapes(chosen, shapes)))


class Attention(torch.autograd.Function):
    """What fused attention saves: its inputs and its output, not the matrix of weights."""

    @staticmethod
    def forward(ctx: Any, q: Any, k: Any, v: Any) -> Any:
        out = torch.empty_like(q)
        ctx.save_for_backward(q, k, v, out)
        return out


def sd15_on_meta(lora_rank: int | None) -> Any:
    from diffusers import UNet2DConditionModel
    from peft import LoraConfig

    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, **SD15)
        if lora_rank:
            unet.requires_grad_(False)
            unet.add_adapter(LoraConfig(r=lora_rank, lora_alpha=lora_rank, target_modules=list(TARGETS)))
    return unet


def shapes_of(unet: Any) -> headers.Shapes:
    named = ((name.replace(".base_layer", ""), tuple(p.shape)) for name, p in unet.named_parameters())
    return {name: shape for name, shape in named if "lora_" not in name}


def saved_elements(unet: Any, monkeypatch: pytest.MonkeyPatch) -> float:
    """Numbers that autograd keeps for one image's backward pass, weights left out."""
    weights = {id(parameter) for parameter in unet.parameters()}
    sizes: dict[int, int] = {}
    kept: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in weights and id(tensor._base) not in weights:
            sizes[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes() // 4
            kept.append(tensor)
        return tensor

    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda q, k, v, **_: Attention.apply(q, k, v)
    )
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.device("meta"):
        unet(torch.zeros(1, 4, 64, 64), torch.zeros(1), torch.zeros(1, 77, 768))
    return sum(sizes.values())


@pytest.mark.parametrize(("kind", "rank"), [("lora", 64), ("full", None)])
def test_activations_of_sd15_are_what_autograd_saves(
    kind: str, rank: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """512² pixels, within a tenth; nothing is computed, the tensors are on the meta device."""
    unet = sd15_on_meta(rank)
    estimated = memory.activations(recipe(kind, batch_size=1), shapes_of(unet), 64)
    assert estimated / (2 * 4) == pytest.approx(saved_elements(unet, monkeypatch), rel=0.1)


def test_weights_of_sd15_are_exact() -> None:
    """859.52 M weights in SD1.5's UNet; LoRA of rank 64 as peft builds it."""
    unet = sd15_on_meta(64)
    shapes = shapes_of(unet)
    lora = [tuple(parameter.shape) for name, parameter in unet.named_parameters() if "lora_" in name]
    assert headers.count(shapes) == count_trained(recipe("full"), shapes) == 859_520_964
    assert sorted(memory.trained_shapes(recipe("lora"), shapes)) == sorted(lora)


def test_the_optimizer_counts_what_it_remembers(model: Path) -> None:
    """Float32 moments are 8 bytes a weight; what the kinds remember is tested with them."""
    shapes = memory.trained_shapes(recipe("full"), headers.part_shapes(model, "unet"))
    count = sum(map(prod, shapes))
    for kind, size in (("adamw", 8 * count), ("adafactor", Adafactor().state_bytes(shapes))):
        found = memory.estimate(recipe("full", optimizer={"kind": kind}), model, 8)
        assert found["optimizer, GB"] == round(size / 1e9, 3)


def test_lora_on_one_weight_by_hand() -> None:
    """[3, 5] at rank 64: 64·(5 + 3); a kernel of 3×3 over 5 channels: 64·(5·9 + 3). Biases and others get none."""
    shapes = {"a.to_q.weight": (3, 5), "b.to_q.weight": (3, 5, 3, 3), "a.to_q.bias": (3,), "a.not_to_q.weight": (3, 5)}
    assert count_trained(recipe(), shapes) == 64 * (5 + 3) + 64 * (45 + 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("tiny") / "model")


def test_headers_are_the_models_own(model: Path) -> None:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(model / "unet")
    assert headers.part_shapes(model, "unet") == {name: tuple(p.shape) for name, p in unet.named_parameters()}


def test_estimate_adds_up(model: Path) -> None:
    found = memory.estimate(recipe(ema=0.9), model, 8)
    parts = [value for name, value in found.items() if name.endswith(", GB") and not name.startswith("all")]
    assert found["all, GB"] == pytest.approx(sum(parts), abs=0.003)


def test_half_precision_halves_frozen_weights_and_activations(model: Path) -> None:
    unet = headers.part_shapes(model, "unet")
    small = recipe().model_copy(update={"dtype": "bfloat16"})
    assert memory.activations(small, unet, 8) == memory.activations(recipe(), unet, 8) / 2
    assert memory.activations(recipe(gradient_checkpointing=True), unet, 8) < memory.activations(recipe(), unet, 8)


def test_a_file_that_is_no_safetensors_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"<!DOCTYPE html><html>not found</html>")
    with pytest.raises(UserError, match=r"x.safetensors: not a safetensors file; download the model again"):
        headers.header(tmp_path / "x.safetensors")
