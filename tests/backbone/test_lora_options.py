"""What else a LoRA can be: DoRA, rsLoRA, started from a file, stacked on one."""

from __future__ import annotations

import pytest
import torch
from diffusers import DiffusionPipeline
from pydantic import ValidationError

from support.adapters import image, output, read, update
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Lora
from tastemaker.backbone.load import load
from tastemaker.backbone.lora_file import layers
from tastemaker.base.errors import UserError

OPTIONS = {
    "dora": {"rank": 4, "alpha": 8, "dora": True},
    "dora on convolutions": {"rank": 4, "dora": True, "targets": ("proj_in", "to_q")},
    "rslora": {"rank": 4, "alpha": 8, "rslora": True},
    "dropout": {"rank": 4, "dropout": 0.5},
    "dora with dropout": {"rank": 4, "dropout": 0.5, "dora": True},
    "start": {"start": "plain"},
    "start from kohya": {"start": "kohya"},
    "start from a dora": {"start": "dora"},
    "stacked": {"rank": 4, "alpha": 8, "on": "plain", "on_scale": 0.5},
    "started and stacked": {"start": "plain", "on": "kohya", "on_scale": -0.5},
}
HALF = ("dora", "dora on convolutions", "start from a dora", "started and stacked")
"""What has numbers of the model's own in it, and so could be rounded with it."""


def kept(trainable):
    return {name: parameter.detach().clone() for name, parameter in trainable.parameters.items()}


def with_files(given, files):
    """The options with the adapters that they name."""
    return given | {name: files[given[name]] for name in ("start", "on") if name in given}


@pytest.mark.parametrize(
    ("option", "dtype"), [(name, "float32") for name in OPTIONS] + [(name, "bfloat16") for name in HALF]
)
def test_with_every_option_the_policy_starts_at_the_reference_which_never_moves(option, dtype, folder, files):
    given = with_files(OPTIONS[option], files)
    backbone = load(folder, dtype=dtype)
    base = output(backbone)
    trainable = attach(backbone, Lora(**given), seed=0)
    with trainable.reference():
        reference = output(backbone)
    assert torch.equal(output(backbone), reference)
    assert torch.equal(reference, base) == (not {"start", "on"} & given.keys())
    trained = {id(p) for p in backbone.denoiser.parameters() if p.requires_grad}
    assert trained == {id(p) for p in trainable.parameters.values()}
    assert {p.dtype for p in trainable.parameters.values()} == {torch.float32}
    assert list(trainable.parameters) == sorted(trainable.parameters)
    frozen = {n: p.detach().clone() for n, p in backbone.denoiser.named_parameters() if not p.requires_grad}
    update(backbone, trainable)
    with trainable.reference():
        assert torch.equal(output(backbone), reference)
    assert not torch.equal(output(backbone), reference)
    assert all(torch.equal(backbone.denoiser.get_parameter(name), value) for name, value in frozen.items())
    assert {id(p) for p in backbone.denoiser.parameters() if p.requires_grad} == trained


@pytest.mark.parametrize("option", OPTIONS)
def test_with_every_option_the_file_makes_the_model_that_was_trained(option, folder, files, tmp_path):
    """One file, whatever stands under the adapter; for what is no sum of two, bit for bit."""
    given = with_files(OPTIONS[option], files)
    backbone = load(folder)
    trainable = attach(backbone, Lora(**given), seed=0)
    update(backbone, trainable)
    trainable.save(tmp_path)
    pipeline = DiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.load_lora_weights(tmp_path)
    read, trained, base = image(pipeline), image(backbone.pipeline()), image(load(folder).pipeline())
    assert abs(read - trained).max() < 1e-5
    assert "on" in given or (read == trained).all()
    assert abs(read - base).max() > 1e-3


def test_dora_trains_the_norms_of_the_rows(folder):
    """Its first magnitudes are the norms, by the definition, of what is frozen."""
    backbone = load(folder, dtype="bfloat16")
    trainable = attach(backbone, Lora(rank=4, dora=True, targets=("to_q", "proj_in")), seed=0)
    magnitudes = {name: p for name, p in trainable.parameters.items() if "magnitude" in name}
    assert len(magnitudes) == len(trainable.parameters) / 3
    for name, magnitude in magnitudes.items():
        weight = backbone.denoiser.get_submodule(name.partition(".lora_")[0]).get_base_layer().weight.float()
        torch.testing.assert_close(magnitude.flatten(), weight.flatten(1).square().sum(1).sqrt())
    update(backbone, trainable)
    assert all(p.grad is None for p in trainable.parameters.values())


def test_rslora_is_stronger_by_the_root_of_the_rank(folder):
    scales = []
    for rslora in (False, True):
        backbone = load(folder)
        attach(backbone, Lora(rank=16, alpha=8, rslora=rslora), seed=0)
        scales.append({layer.scaling["default"] for _, layer in layers(backbone.denoiser, "default")})
    assert scales == [{0.5}, {2.0}]


def test_a_start_is_the_files_weights_in_any_number_format(folder, files):
    for dtype in ("float32", "bfloat16"):
        trainable = attach(load(folder, dtype=dtype), Lora(start=files["plain"]), seed=0)
        for layer, one in read(files["plain"]).items():
            assert torch.equal(trainable.parameters[f"{layer}.lora_A.weight"], one.down)
            assert torch.equal(trainable.parameters[f"{layer}.lora_B.weight"], one.up)


def test_a_start_does_not_depend_on_the_seed_or_the_format_of_its_file(folder, files):
    one, two, three = (
        kept(attach(load(folder), Lora(start=start), seed=seed))
        for start, seed in ((files["plain"], 0), (files["plain"], 1), (files["kohya"], 0))
    )
    assert all(torch.equal(one[name], two[name]) and torch.equal(one[name], three[name]) for name in one)


def test_the_scale_of_what_is_under_is_its_share(folder, files):
    """Half of an adapter is what diffusers makes of it at 0.5."""
    backbone = load(folder)
    attach(backbone, Lora(rank=4, on=files["plain"], on_scale=0.5), seed=0)
    half = load(folder, adapter=files["plain"], adapter_scale=0.5)
    torch.testing.assert_close(output(backbone), output(half))


def test_what_a_start_fixes_cannot_be_given():
    for name, value in {"rank": 4, "alpha": 2.0, "targets": ("to_q",), "dora": True, "rslora": True}.items():
        with pytest.raises(
            ValidationError, match=rf"start: x is a file that fixes {name}; remove adapter\.{name} or make it null"
        ):
            Lora.model_validate({"start": "x", name: value})
    resolved = Lora(start="x").model_dump(mode="json")
    assert Lora.model_validate(resolved) == Lora(start="x")
    assert Lora.model_validate({"rank": None, "targets": None}) == Lora()


def test_dora_on_another_adapter_is_refused():
    with pytest.raises(ValidationError, match="cannot go into one file with on: x"):
        Lora(dora=True, on="x")


def test_a_dora_below_is_refused(folder, files):
    with pytest.raises(UserError, match=r"a DoRA cannot be added to another adapter"):
        attach(load(folder), Lora(on=files["dora"]), seed=0)
