"""A tiny Stable Diffusion, and adapters of it."""

from __future__ import annotations

import pytest
from safetensors.torch import save_file

from support.adapters import read, update
from support.models import save_tiny_sd
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Lora
from tastemaker.backbone.kohya import to_kohya
from tastemaker.backbone.load import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "model")


@pytest.fixture(scope="module")
def files(folder, tmp_path_factory):
    """Adapters that other runs have left, trained away from the base: name → file."""
    place, found = tmp_path_factory.mktemp("adapters"), {}
    choices = {"plain": Lora(rank=2, alpha=6, targets=("to_q", "to_v")), "dora": Lora(rank=3, dora=True, rslora=True)}
    for number, (name, choice) in enumerate(choices.items()):
        backbone = load(folder)
        trainable = attach(backbone, choice, seed=number)
        update(backbone, trainable)
        trainable.save(place / name)
        found[name] = place / name / Lora.artifact
    tensors = to_kohya(read(found["plain"]), "StableDiffusionPipeline", {})
    save_file(tensors, place / "kohya.safetensors")
    return {name: str(path) for name, path in found.items()} | {"kohya": str(place / "kohya.safetensors")}
