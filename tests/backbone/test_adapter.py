"""Adapters and the reference switch: bit-for-bit invariants, and files that diffusers reads."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import DiffusionPipeline
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save_file

from support.models import LATENT_SHAPE, save_tiny_sd
from support.tiny import TINY
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full, Lora
from tastemaker.backbone.kohya import to_kohya
from tastemaker.backbone.load import load
from tastemaker.backbone.lora_file import Factors, find, layers
from tastemaker.base.errors import UserError

CHOICES = [Lora(rank=4, alpha=8), Full()]
LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
KOHYA = LAYER.replace(".", "_")
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"


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


# what else a LoRA can be


def kept(trainable):
    return {name: parameter.detach().clone() for name, parameter in trainable.parameters.items()}


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


# dropout


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


# files that do not fit


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


# the other families


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
