"""Adapters and the reference switch: bit-for-bit invariants."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from support.adapters import CHOICES, inputs, output, update
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full, Lora
from tastemaker.backbone.load import load
from tastemaker.base.errors import UserError


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.kind)
def test_before_the_first_update_policy_and_reference_are_the_base(folder, choice):
    backbone = load(folder)
    base = output(backbone)
    trainable = attach(backbone, choice, seed=0)
    assert torch.equal(output(backbone), base)
    with trainable.reference():
        assert torch.equal(output(backbone), base)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.kind)
def test_after_an_update_the_reference_is_still_the_base_and_the_policy_is_not(folder, choice):
    backbone = load(folder)
    base = output(backbone)
    trainable = attach(backbone, choice, seed=0)
    update(backbone, trainable)
    with trainable.reference():
        assert torch.equal(output(backbone), base)
    assert not torch.equal(output(backbone), base)
    assert all(p.requires_grad and p.dtype == torch.float32 for p in trainable.parameters.values())


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.kind)
def test_the_policy_comes_back_after_an_error(folder, choice):
    backbone = load(folder)
    trainable = attach(backbone, choice, seed=0)
    update(backbone, trainable)
    policy = output(backbone)
    with pytest.raises(KeyError), trainable.reference():
        raise KeyError
    assert torch.equal(output(backbone), policy)


def test_only_the_adapter_is_trained(folder):
    backbone = load(folder)
    trainable = attach(backbone, Lora(rank=4), seed=0)
    trained = {id(p) for p in backbone.denoiser.parameters() if p.requires_grad}
    assert trained == {id(p) for p in trainable.parameters.values()}
    assert list(trainable.parameters) == sorted(trainable.parameters)
    assert all(".default" not in name for name in trainable.parameters)


def test_first_values_depend_on_the_seed_alone(folder):
    def start(seed):
        torch.manual_seed(torch.randint(1000, ()).item())
        return attach(load(folder), Lora(rank=4), seed).parameters

    one, again, other = start(0), start(0), start(1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    a = [name for name in one if ".lora_A." in name]
    assert not any(torch.equal(one[name], other[name]) for name in a)
    assert not any(one[name].any() for name in one if ".lora_B." in name)
    width = one[a[0]].shape[1]
    assert 0.9 * width**-0.5 < one[a[0]].abs().max() <= width**-0.5


def test_adapters_of_a_bfloat16_model_are_float32(folder):
    trainable = attach(load(folder, dtype="bfloat16"), Lora(rank=4), seed=0)
    assert {p.dtype for p in trainable.parameters.values()} == {torch.float32}


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.kind)
def test_gradient_checkpointing_changes_no_gradient(folder, choice):
    gradients = []
    for checkpointing in (False, True):
        backbone = load(folder, gradient_checkpointing=checkpointing)
        trainable = attach(backbone, choice, seed=0)
        update(backbone, trainable)
        prediction = backbone.forward(*inputs(backbone))
        saved = _saved_tensors(lambda backbone=backbone: backbone.forward(*inputs(backbone)))
        prediction.output.square().mean().backward()
        gradients.append((saved, [p.grad for p in trainable.parameters.values()]))
    (plain, one), (checkpointed, two) = gradients
    assert checkpointed < plain, "nothing was checkpointed"
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def _saved_tensors(function) -> int:
    """How many tensors a forward pass keeps for its backward pass."""
    count = 0

    def pack(tensor):
        nonlocal count
        count += 1
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function()
    return count


def test_full_training_without_a_reference_keeps_no_copy(folder):
    trainable = attach(load(folder), Full(), seed=0, reference=False)
    with pytest.raises(AssertionError, match="without a reference"), trainable.reference():
        pass


def test_targets_that_the_model_does_not_have(folder):
    with pytest.raises(UserError, match=r"adapter\.targets: to_nowhere: no such layers"):
        attach(load(folder), Lora(targets=("to_nowhere",)), seed=0)


def test_choices_refuse_what_has_no_meaning():
    with pytest.raises(ValidationError, match="rank"):
        Lora(rank=0)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Full(rank=4)
