"""What the tests of adapters share: a forward pass, two updates, a picture, a file by its description."""

from __future__ import annotations

import json

import torch
from safetensors import safe_open

from support.models import LATENT_SHAPE
from tastemaker.backbone.choice import Full, Lora
from tastemaker.backbone.lora_file import Factors

CHOICES = [Lora(rank=4, alpha=8), Full()]


def inputs(backbone):
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(2, *LATENT_SHAPE, generator=generator)
    return x_t, torch.tensor([10, 900]), backbone.condition(["a red circle", ""])


def output(backbone):
    with torch.no_grad():
        return backbone.forward(*inputs(backbone)).output


def update(backbone, trainable, rounds=2):
    """Two steps: the first moves B alone, because A gets no gradient while B is 0."""
    optimizer = torch.optim.SGD(trainable.parameters.values(), lr=1.0)
    for _ in range(rounds):
        backbone.forward(*inputs(backbone)).output.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def image(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    return pipeline("a red circle", num_inference_steps=2, generator=generator, output_type="np").images


def read(file):
    """An adapter file by its description: tensors by layer, alpha from the header."""
    with safe_open(file, "pt") as opened:
        header = json.loads(opened.metadata()["lora_adapter_metadata"])
        names = sorted({name.removeprefix("unet.").partition(".lora_")[0] for name in opened.keys()})  # noqa: SIM118
        return {
            name: Factors(
                opened.get_tensor(f"unet.{name}.lora_A.weight"),
                opened.get_tensor(f"unet.{name}.lora_B.weight"),
                header["unet.lora_alpha"],
            )
            for name in names
        }
