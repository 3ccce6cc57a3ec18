"""Adapters and the reference switch: bit-for-bit invariants, and files that diffusers reads."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import DiffusionPipeline
from pydantic import ValidationError
from safetensors import safe_open

from support.models import LATENT_SHAPE, save_tiny_sd
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full, Lora
from tastemaker.backbone.load import load
from tastemaker.base.errors import UserError

CHOICES = [Lora(rank=4, alpha=8), Full()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "model")


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
