"""Adapters folded into the weights: the output of the adapter itself, up to rounding."""

from __future__ import annotations

import pytest
import torch

from support.models import LATENT_SHAPE, save_tiny_sd
from tastemaker.backbone.adapter import TRAINED, attach
from tastemaker.backbone.choice import Lora
from tastemaker.backbone.load import load
from tastemaker.backbone.lora_file import put_on
from tastemaker.backbone.merge import merge

MERGED = {
    "attention": Lora(rank=4, alpha=8),
    "rslora and convolutions": Lora(rank=4, alpha=8, rslora=True, targets=("proj_in", "conv1", "to_q")),
    "dora and convolutions": Lora(rank=4, alpha=8, dora=True, targets=("proj_in", "conv1", "to_q")),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "model")


def output(backbone):
    x_t = torch.randn(2, *LATENT_SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return backbone.forward(x_t, torch.tensor([10, 900]), backbone.condition(["a red circle", ""])).output


@pytest.mark.parametrize("name", MERGED)
def test_the_merged_model_says_what_the_adapter_said(name, folder, tmp_path):
    trained = load(folder)
    trainable = attach(trained, MERGED[name], seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trainable.parameters.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    trainable.save(tmp_path)
    merged = load(folder)
    base, names = output(merged), [name for name, _ in merged.denoiser.named_parameters()]
    put_on(merged, tmp_path, "tuned")
    merge(merged, "tuned")
    assert (output(merged) - output(trained)).abs().max() < 1e-5
    assert (output(merged) - base).abs().max() > 1e-2
    assert [name for name, _ in merged.denoiser.named_parameters()] == names


def test_a_half_precision_weight_is_rounded_once(folder):
    """The definition in float32, then one rounding: W + s B A."""
    backbone = load(folder, dtype="bfloat16")
    trainable = attach(backbone, Lora(rank=4, alpha=8), seed=0)
    with torch.no_grad():
        for parameter in trainable.parameters.values():
            parameter.add_(0.01)
    layer = next(name for name in trainable.parameters if name.endswith("to_q.lora_A.weight")).partition(".lora_")[0]
    weight = backbone.denoiser.get_submodule(layer).get_base_layer().weight.float()
    down, up = (trainable.parameters[f"{layer}.lora_{x}.weight"].detach() for x in "AB")
    merge(backbone, TRAINED)
    assert torch.equal(backbone.denoiser.get_submodule(layer).weight, (weight + 2 * (up @ down)).bfloat16())
