"""Files of adapters: saved for diffusers, read back bit for bit, and those that do not fit."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors import safe_open
from safetensors.torch import save_file

from support.adapters import image, output, update
from support.tiny import TINY
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full, Lora
from tastemaker.backbone.load import load
from tastemaker.backbone.lora_file import find
from tastemaker.base.errors import UserError

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
KOHYA = LAYER.replace(".", "_")
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"


@pytest.mark.parametrize("alpha", [None, 1.0, 8.0], ids=["alpha=rank", "alpha=1", "alpha=8"])
def test_a_saved_adapter_draws_the_same_image_bit_for_bit(folder, tmp_path, alpha):
    backbone = load(folder)
    base = image(backbone.pipeline())
    trainable = attach(backbone, Lora(rank=4, alpha=alpha), seed=0)
    update(backbone, trainable)
    trained = image(backbone.pipeline())
    trainable.save(tmp_path)
    pipeline = DiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.load_lora_weights(tmp_path)
    assert (image(pipeline) == trained).all()
    assert (image(load(folder, adapter=tmp_path).pipeline()) == trained).all()
    assert not (trained == base).all()


def test_adapter_scale_zero_is_the_base_and_half_is_neither(folder, tmp_path):
    backbone = load(folder)
    base = output(backbone)
    trainable = attach(backbone, Lora(rank=4, alpha=8), seed=0)
    update(backbone, trainable)
    trainable.save(tmp_path)
    full, half, none = (output(load(folder, adapter=tmp_path, adapter_scale=scale)) for scale in (1.0, 0.5, 0.0))
    assert torch.equal(full, output(backbone))
    torch.testing.assert_close(none, base)
    assert not torch.allclose(half, full)
    assert not torch.allclose(half, base)


def test_an_adapter_file_is_the_same_bytes_every_time(folder, tmp_path):
    trainable = attach(load(folder), Lora(rank=4, alpha=8), seed=0)
    trainable.save(tmp_path / "one")
    trainable.save(tmp_path / "two")
    one, two = (tmp_path / name / "pytorch_lora_weights.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    with safe_open(one, "pt") as file:
        header = file.metadata()
    assert list(header) == ["lora_adapter_metadata"]
    assert json.loads(header["lora_adapter_metadata"])["unet.lora_alpha"] == 8


def test_a_saved_full_model_is_a_pipeline_folder(folder, tmp_path):
    backbone = load(folder)
    trainable = attach(backbone, Full(), seed=0)
    trainable.save(tmp_path)
    update(backbone, trainable)
    trained = image(backbone.pipeline())
    trainable.save(tmp_path)
    assert (image(DiffusionPipeline.from_pretrained(tmp_path / "model")) == trained).all()


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (None, "no such adapter; give the folder or the .safetensors file"),
        ({"x": (2, 2)}, "not LoRA weights of this model"),
        ({"text_encoder.a.lora_A.weight": (2, 2), "text_encoder.a.lora_B.weight": (2, 2)}, "not LoRA weights of this"),
        ({f"unet.{LAYER}.lora_A.weight": (2, 99), f"unet.{LAYER}.lora_B.weight": (99, 2)}, "not LoRA weights of this"),
        ({f"lora_unet_{KOHYA}.{end}": (2, 2) for end in ("lora_down.weight", "lora_up.weight", "dora_scale")}, "DoRA"),
        (
            {f"unet.{LAYER}.lora_A.weight": (2, 16), f"unet.{LAYER}.lora_B.weight": (16, 2)}
            | {f"text_encoder.{TEXT}.lora_A.weight": (2, 32), f"text_encoder.{TEXT}.lora_B.weight": (32, 2)},
            "has weights for the text_encoder too",
        ),
    ],
)
def test_adapter_files_that_do_not_fit_are_one_line(tensors, said, folder, tmp_path):
    path = tmp_path / "x.safetensors"
    if tensors is not None:
        save_file({name: torch.ones(shape) for name, shape in tensors.items()}, path)
    for choice in (Lora(start=str(path)), Lora(on=str(path))):
        with pytest.raises(UserError, match=said) as caught:
            attach(load(folder), choice, seed=0)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_a_folder_of_several_adapters_needs_a_name(tmp_path):
    for name in ("a", "b"):
        save_file({"x": torch.ones(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(UserError, match=r"2 \.safetensors files in it, none called pytorch_lora_weights"):
        find(tmp_path)
    save_file({"x": torch.ones(1)}, tmp_path / Lora.artifact)
    assert find(tmp_path) == tmp_path / Lora.artifact


@pytest.mark.parametrize("kind", ["sdxl", "sd3", "flux"])
def test_every_familys_file_is_read_by_diffusers_and_gone_on_from(kind, tmp_path):
    """Under the name that the pipeline gives its denoiser, with alpha, rank and DoRA; bit for bit."""
    model = TINY[kind].save(tmp_path / "model")
    backbone = load(model)
    channels, height, width = backbone.latent_shape(TINY[kind].resolution)
    x_t = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(0))
    condition = backbone.condition(["a red circle"])

    def said(other):
        with torch.no_grad():
            return other.forward(x_t, torch.tensor([500]), condition).output

    base = said(backbone)
    trainable = attach(backbone, Lora(rank=3, alpha=7, dora=True), seed=0)
    with torch.no_grad():
        for parameter in trainable.parameters.values():
            parameter.add_(0.05)
    trainable.save(tmp_path / "run")
    with safe_open(tmp_path / "run" / Lora.artifact, "pt") as file:
        assert {name.partition(".")[0] for name in file.keys()} == {backbone.part}  # noqa: SIM118
    read_back = load(model)
    read_back.pipeline().load_lora_weights(tmp_path / "run")
    assert torch.equal(said(read_back), said(backbone))
    assert not torch.equal(said(backbone), base)
    started = load(model)
    goes_on = attach(started, Lora(start=str(tmp_path / "run")), seed=1)
    with goes_on.reference():
        assert torch.equal(said(started), said(backbone))
    assert torch.equal(said(started), said(backbone))
