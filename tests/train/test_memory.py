from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from support.models import save_tiny_sd
from support.published import SD15, SDXL
from tastemaker.backbone import lora_file
from tastemaker.backbone.narrow import narrow
from tastemaker.base.errors import UserError
from tastemaker.train import headers, memory
from tastemaker.train.choice import Adafactor
from tastemaker.train.recipe import Recipe

SD3 = {
    "sample_size": 128,
    "num_layers": 4,
    "attention_head_dim": 64,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "caption_projection_dim": 1536,
    "pooled_projection_dim": 2048,
    "pos_embed_max_size": 192,
}
TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
PARTS = {"sd15": "unet", "flux": "transformer"}


def recipe(kind: str = "lora", adapter: dict[str, Any] | None = None, **train: Any) -> Recipe:
    chosen = {"kind": kind} | (adapter or {})
    tree = {"model": "m", "data": {"pairs": "p", "cache": "c"}, "adapter": chosen, "method": {}, "out": "o"}
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


def on_meta(name: str, dtype: torch.dtype = torch.float32, **lora: Any) -> Any:
    """A denoiser of full width on the meta device, an adapter in float32; the transformers have fewer blocks."""
    from diffusers import FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel
    from peft import LoraConfig

    with torch.device("meta"):
        model = {
            "sd15": lambda: UNet2DConditionModel(sample_size=64, **SD15),
            "sdxl": lambda: UNet2DConditionModel(sample_size=128, **SDXL),
            "sd3": lambda: SD3Transformer2DModel(**SD3),
            "flux": lambda: FluxTransformer2DModel(num_layers=2, num_single_layers=4, guidance_embeds=True),
        }[name]().to(dtype)
        if lora:
            model.requires_grad_(False)
            model.add_adapter(LoraConfig(**{"target_modules": list(TARGETS)} | lora))
    for key, parameter in model.named_parameters():
        if "lora_" in key:
            parameter.data = parameter.data.float()
    return model


def shapes_of(model: Any) -> headers.Shapes:
    named = ((name.replace(".base_layer", ""), tuple(p.shape)) for name, p in model.named_parameters())
    return {name: shape for name, shape in named if "lora_" not in name}


def run_on_meta(name: str, model: Any) -> None:
    """512² pixels."""
    with torch.device("meta"), default_dtype(model.dtype):
        if name == "sd15":
            model(torch.zeros(1, 4, 64, 64), torch.zeros(1), torch.zeros(1, 77, 768))
        elif name == "sd3":
            model(torch.zeros(1, 16, 64, 64), torch.zeros(1, 333, 4096), torch.zeros(1, 2048), torch.zeros(1))
        else:
            one = torch.zeros(1)
            places = {"txt_ids": torch.zeros(512, 3), "img_ids": torch.zeros(1024, 3)}
            model(torch.zeros(1, 1024, 64), torch.zeros(1, 512, 4096), torch.zeros(1, 768), one, guidance=one, **places)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def saved_bytes(name: str, model: Any, monkeypatch: pytest.MonkeyPatch) -> float:
    """What autograd keeps for one image's backward pass, weights left out."""
    weights = {id(parameter) for parameter in model.parameters()}
    sizes: dict[int, int] = {}
    kept: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in weights and id(tensor._base) not in weights:
            sizes[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
            kept.append(tensor)
        return tensor

    def attention(query: Any, key: Any, value: Any, **_: Any) -> Any:
        return Attention.apply(query, key, value)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attention)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run_on_meta(name, model)
    return sum(sizes.values())


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize(("name", "part"), [("sd15", "unet"), ("sd3", "transformer"), ("flux", "transformer")])
def test_activations_are_what_autograd_saves(name: str, part: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a tenth; nothing is computed, the tensors are on the meta device."""
    model = on_meta(name, **({"r": 64} if kind == "lora" else {}))
    estimated = memory.activations(recipe(kind, batch_size=1), part, shapes_of(model), 64)
    assert estimated / 2 == pytest.approx(saved_bytes(name, model, monkeypatch), rel=0.1)


@pytest.mark.parametrize("name", ["sd15", "flux"])
def test_in_float16_every_adapter_keeps_a_copy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter's factors are float32, and so is what they are multiplied with."""
    model = on_meta(name, torch.float16, r=64)
    shapes, chosen = shapes_of(model), recipe(batch_size=1).model_copy(update={"dtype": "float16"})
    saved = saved_bytes(name, model, monkeypatch)
    assert memory.activations(chosen, PARTS[name], shapes, 64) / 2 == pytest.approx(saved, rel=0.12)
    assert memory.activations(recipe(batch_size=1), PARTS[name], shapes, 64) / 4 < 0.85 * saved


@pytest.mark.parametrize(("name", "near"), [("sd15", 0.1), ("flux", 0.15)])
def test_in_bfloat16_no_adapter_keeps_a_copy(name: str, near: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flux rotates its queries and keys in float32 whatever its format, which is not counted."""
    model = on_meta(name, torch.bfloat16, r=64)
    for _, layer in lora_file.layers(model, "default"):
        narrow(layer)
    shapes, chosen = shapes_of(model), recipe(batch_size=1).model_copy(update={"dtype": "bfloat16"})
    estimated = memory.activations(chosen, PARTS[name], shapes, 64) / 2
    assert estimated == pytest.approx(saved_bytes(name, model, monkeypatch), rel=near)


@pytest.mark.parametrize(
    ("name", "dtype", "pairs", "checkpointing", "peak"),
    [
        ("sd15", "bfloat16", 8, False, 15.501),
        ("sd15", "bfloat16", 32, False, 55.154),
        ("sdxl", "bfloat16", 2, False, 29.841),
        ("sdxl", "bfloat16", 8, False, 95.162),
        ("sd15", "float16", 8, False, 19.352),
        ("sdxl", "float16", 2, False, 38.152),
        ("sdxl", "float16", 2, True, 10.323),
    ],
)
def test_peaks_are_those_of_a_gpu(name: str, dtype: str, pairs: int, checkpointing: bool, peak: float) -> None:
    """GiB that an H200 reported (docs/results/gpu.md), within 8 %; all frozen weights are 2.1 and 6.9 GB.

    Those of float16 were reported in bfloat16, when adapters widened their inputs there too.
    """
    chosen = recipe(batch_size=pairs, gradient_checkpointing=checkpointing).model_copy(update={"dtype": dtype})
    shapes = shapes_of(on_meta(name))
    trained = sum(map(prod, memory.trained_shapes(chosen, shapes)))
    fixed = {"sd15": 2.132e9, "sdxl": 6.938e9}[name] + 4 * 4 * trained
    found = fixed + memory.activations(chosen, "unet", shapes, {"sd15": 64, "sdxl": 128}[name])
    assert found == pytest.approx(peak * 2**30, rel=0.08)


def test_weights_of_sd15_are_exact() -> None:
    """859.52 M weights in SD1.5's UNet; LoRA of rank 64 as peft builds it."""
    unet = on_meta("sd15", r=64)
    shapes = shapes_of(unet)
    lora = [tuple(parameter.shape) for name, parameter in unet.named_parameters() if "lora_" in name]
    assert headers.count(shapes) == count_trained(recipe("full"), shapes) == 859_520_964
    assert sorted(memory.trained_shapes(recipe("lora"), shapes)) == sorted(lora)


def test_weights_of_a_dora_on_convolutions_are_exact() -> None:
    targets = ("to_q", "proj_in", "conv1")
    unet = on_meta("sd15", r=8, use_dora=True, target_modules=list(targets))
    lora = [parameter.numel() for name, parameter in unet.named_parameters() if "lora_" in name]
    chosen = recipe(adapter={"rank": 8, "dora": True, "targets": targets})
    assert count_trained(chosen, shapes_of(unet)) == sum(lora)


def test_what_is_read_is_counted_from_its_file(model: Path, tmp_path: Path) -> None:
    """40 numbers that are trained, 40 as they were at the start and 40 under them; alpha is not one of them."""
    tensors = {
        "unet.x.lora_A.weight": torch.ones(4, 6),
        "unet.x.lora_B.weight": torch.ones(4, 4),
        "x.alpha": torch.ones(()),
    }
    save_file(tensors, tmp_path / "x.safetensors")
    path = str(tmp_path / "x.safetensors")
    plain = memory.estimate(recipe(), model, 8)
    found = memory.estimate(recipe(adapter={"start": path, "on": path}), model, 8)
    assert found["trained parameters"] == 40
    assert found["frozen parameters"] == plain["frozen parameters"] + 80
    with pytest.raises(UserError, match="nowhere: no such adapter"):
        memory.estimate(recipe(adapter={"start": "nowhere"}), model, 8)


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


def test_half_precision_halves_what_is_kept_but_for_the_copies_of_adapters(model: Path) -> None:
    unet = headers.part_shapes(model, "unet")
    dora = recipe(adapter={"dora": True})
    kept = memory.activations(recipe(), "unet", unet, 8)
    assert memory.activations(recipe().model_copy(update={"dtype": "bfloat16"}), "unet", unet, 8) == kept / 2
    assert memory.activations(recipe().model_copy(update={"dtype": "float16"}), "unet", unet, 8) > kept / 2
    assert memory.activations(dora.model_copy(update={"dtype": "bfloat16"}), "unet", unet, 8) > kept / 2
    assert memory.activations(recipe(gradient_checkpointing=True), "unet", unet, 8) < kept


def test_a_file_that_is_no_safetensors_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"<!DOCTYPE html><html>not found</html>")
    with pytest.raises(UserError, match=r"x.safetensors: not a safetensors file; download the model again"):
        headers.header(tmp_path / "x.safetensors")
