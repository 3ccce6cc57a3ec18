"""Dropout of an adapter: drawn by key, the same again, and never in the reference."""

from __future__ import annotations

import pytest
import torch

from support.adapters import CHOICES, inputs, output, update
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Lora
from tastemaker.backbone.load import load


def gradients(folder, key, checkpointing=False, choice=None, seed=0):
    """Of B at its first values, of which dropout changes all."""
    backbone = load(folder, gradient_checkpointing=checkpointing)
    trainable = attach(backbone, choice or Lora(rank=4, dropout=0.5), seed=seed)
    torch.manual_seed(torch.seed() % 1000)
    before = torch.get_rng_state()
    with trainable.dropout(*key):
        loss = backbone.forward(*inputs(backbone)).output.square().mean()
        with torch.no_grad(), trainable.reference():
            backbone.forward(*inputs(backbone))
        loss.backward()
    assert torch.equal(torch.get_rng_state(), before)
    return torch.cat([p.grad.flatten() for name, p in trainable.parameters.items() if ".lora_B." in name])


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
def test_dropout_is_a_function_of_seed_and_key_alone(folder, dora):
    choice = Lora(rank=4, dropout=0.5, dora=dora)
    one = gradients(folder, ("pair-1", 0), choice=choice)
    assert torch.equal(one, gradients(folder, ("pair-1", 0), choice=choice))
    for other in (
        gradients(folder, ("pair-1", 1), choice=choice),
        gradients(folder, ("pair-1", 0), choice=choice, seed=1),
    ):
        assert not torch.equal(one, other)
    assert not torch.equal(one, gradients(folder, ("pair-1", 0), choice=Lora(rank=4, dora=dora)))


def test_checkpointing_drops_the_same_again(folder):
    assert torch.equal(gradients(folder, ("pair-1", 0)), gradients(folder, ("pair-1", 0), checkpointing=True))


@pytest.mark.parametrize(
    "given", [{"rank": 4}, {"start": "dora", "on": None}, {"start": "plain", "on": "kohya"}], ids=str
)
def test_nothing_drops_outside_and_in_the_reference(given, folder, files):
    backbone = load(folder)
    given = {name: files.get(value, value) for name, value in given.items()}
    trainable = attach(backbone, Lora(dropout=0.5, **given), seed=0)
    first = output(backbone)
    update(backbone, trainable)
    policy = output(backbone)
    assert torch.equal(output(backbone), policy)
    with trainable.dropout("pair-1", 0):
        assert not torch.equal(output(backbone), policy)
        with trainable.reference():
            assert torch.equal(output(backbone), first)
        assert not torch.equal(output(backbone), policy)
    assert torch.equal(output(backbone), policy)
    assert not any(module.training for module in backbone.denoiser.modules())


def test_a_run_without_dropout_sees_none(folder):
    for choice in CHOICES:
        backbone = load(folder)
        trainable = attach(backbone, choice, seed=0)
        update(backbone, trainable)
        policy = output(backbone)
        with trainable.dropout("pair-1", 0):
            assert torch.equal(output(backbone), policy)
