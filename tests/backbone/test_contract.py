"""What every backbone promises, on one list for all: each kind of `support.tiny.TINY` runs through every test.

The latents here are not square wherever a model takes such: a height taken for a width turns a test red.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from support.contract import HEIGHT, WIDTH, Recorder, gradients, normal, oblong, outputs, rows, update
from support.tiny import TINY
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full, Lora
from tastemaker.backbone.load import identity, load
from tastemaker.base.errors import UserError
from tastemaker.evaluate import sampling
from tastemaker.process.schedule import Schedule

PROMPTS = ["a red circle", "", "two blue squares"]
CHOICES = [Lora(rank=2, alpha=4), Full()]


@pytest.fixture(scope="module", params=TINY)
def tiny(request):
    return TINY[request.param]


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("contract") / "model")


@pytest.fixture(scope="module")
def backbone(folder):
    """Shared, so tests leave it as it is."""
    return load(folder)


@pytest.fixture(scope="module")
def conditions(backbone):
    return backbone.condition(PROMPTS)


def test_it_says_what_it_is(backbone, tiny):
    assert backbone.head == tiny.head
    assert backbone.resolution == tiny.resolution
    assert backbone.scaling_factor == pytest.approx(tiny.scaling_factor)
    assert backbone.latent_shape(tiny.resolution) == tiny.latent_shape
    channels, height, width = tiny.latent_shape
    assert backbone.latent_shape(2 * tiny.resolution) == (channels, 2 * height, 2 * width)
    assert backbone.schedule.steps == 1000
    assert backbone.pipeline().components[backbone.part] is backbone.denoiser
    with pytest.raises(UserError, match=r"resolution 30: not a multiple of \d+"):
        backbone.latent_shape(30)


def test_its_key_is_the_identity_of_the_folder(backbone, folder):
    assert backbone.key == identity(folder)
    assert backbone.key.startswith("sha256:")


def test_everything_is_frozen(folder):
    parts = load(folder).pipeline().components.values()
    modules = [part for part in parts if isinstance(part, torch.nn.Module)]
    assert len(modules) >= 3
    assert not any(p.requires_grad for module in modules for p in module.parameters())
    assert not any(module.training for module in modules)


def test_conditions_have_the_shapes_and_are_float32(conditions, tiny):
    assert {name: tuple(tensor.shape[1:]) for name, tensor in conditions.items()} == tiny.condition
    assert {tensor.dtype for tensor in conditions.values()} == {torch.float32}
    assert all(len(tensor) == len(PROMPTS) for tensor in conditions.values())


def test_prompts_do_not_see_their_batch_mates(backbone, conditions):
    for index, prompt in enumerate(PROMPTS):
        alone = backbone.condition([prompt])
        for name, tensor in alone.items():
            torch.testing.assert_close(tensor[0], conditions[name][index], rtol=1e-5, atol=1e-5)
    assert not any(torch.allclose(tensor[0], tensor[2]) for tensor in conditions.values())


def test_examples_do_not_see_their_batch_mates(backbone, conditions):
    together = outputs(backbone, conditions)
    for index, t in enumerate((10, 500, 999)):
        with torch.no_grad():
            x_t = oblong(backbone)[index : index + 1]
            alone = backbone.forward(x_t, torch.tensor([t]), rows(conditions, slice(index, index + 1)))
        torch.testing.assert_close(alone.output[0], together[index], rtol=1e-4, atol=1e-5)


def test_the_output_reads_every_input(backbone, conditions):
    """Latents, step and every tensor of the condition change it."""
    base = outputs(backbone, conditions)
    assert base.shape == oblong(backbone).shape
    assert base.dtype == torch.float32
    assert not torch.allclose(outputs(backbone, conditions, t=(20, 510, 900)), base)
    for name, tensor in conditions.items():
        assert not torch.allclose(outputs(backbone, conditions | {name: tensor.flip(0)}), base), name
    assert torch.equal(outputs(backbone, conditions | {"nothing": torch.ones(3, 1)}), base)


def test_the_same_inputs_give_the_same_bits(backbone, folder, conditions):
    again = load(folder)
    pixels = normal(1, 3, HEIGHT, WIDTH).clamp(-1, 1)
    assert torch.equal(outputs(backbone, conditions), outputs(again, again.condition(PROMPTS)))
    for one, two in zip(backbone.encode(pixels), again.encode(pixels), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("size", [(WIDTH, WIDTH), (HEIGHT, WIDTH)], ids=["square", "oblong"])
def test_encode_and_decode_undo_the_shapes(backbone, size):
    """Moments are the VAE's posterior, shifted and scaled as its configuration says; decoding takes that back."""
    pixels, vae = normal(2, 3, *size).clamp(-1, 1), backbone.pipeline().vae
    moments, shift = backbone.encode(pixels), vae.config.shift_factor or 0.0
    channels, height, width = backbone.latent_shape(WIDTH)
    assert moments.mean.shape == moments.std.shape == (2, channels, height * size[0] // WIDTH, width)
    posterior = vae.encode(pixels).latent_dist
    torch.testing.assert_close(moments.mean, (posterior.mean - shift) * vae.config.scaling_factor)
    torch.testing.assert_close(moments.std, posterior.std * vae.config.scaling_factor)
    decoded = backbone.decode(moments.mean)
    assert decoded.shape == pixels.shape
    assert decoded.abs().max() <= 1
    torch.testing.assert_close(decoded, vae.decode(posterior.mean).sample.clamp(-1, 1))


def test_at_signal_power_one_x_t_is_the_data(backbone, conditions):
    """A step without noise holds x0 itself, and whatever the network says of it, the predicted x0 is that too."""
    clean = Schedule(torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    x0, eps, t = oblong(backbone), oblong(backbone, seed=1), torch.zeros(len(PROMPTS), dtype=torch.long)
    x_t = clean.noised(x0, eps, t)
    assert torch.equal(x_t, x0)
    with torch.no_grad():
        prediction = backbone.forward(x_t, t, conditions)
    alpha, sigma = clean.levels(t)
    assert torch.equal(replace(prediction, alpha=alpha, sigma=sigma).x0, x0)


def test_noised_latents_are_the_schedulers(backbone):
    """diffusers noises x0 to the same x_t at any step."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    x0, eps, t = oblong(backbone), oblong(backbone, seed=1), torch.tensor([0, 321, 999])
    scheduler = sampling.deterministic(backbone)
    if backbone.head == "flow":
        shift = 1.0 if scheduler.config.use_dynamic_shifting else scheduler.config.shift
        scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
        expected = scheduler.scale_noise(x0, scheduler.timesteps.flip(0)[t], eps)
    else:
        expected = scheduler.add_noise(x0, eps, t)
    torch.testing.assert_close(backbone.schedule.noised(x0, eps, t), expected, rtol=1e-5, atol=1e-5)


def test_a_step_of_our_reading_is_the_schedulers_step(backbone, conditions):
    """x_s = α_s x0 + σ_s ε, with x0 and ε of the `Prediction` at t, is what diffusers steps to from the raw output."""
    scheduler, x_t = sampling.deterministic(backbone), oblong(backbone, 1)
    if backbone.head == "flow":
        own = {"mu": 0.0} if scheduler.config.use_dynamic_shifting else {}
        scheduler.set_timesteps(sigmas=[0.8, 0.6, 0.4], **own)
        t, s, value = 799, 599, scheduler.timesteps[0]
    else:
        scheduler.set_timesteps(10)
        value = scheduler.timesteps[3]
        t, s = int(value), int(value) - 100
    with torch.no_grad():
        prediction = backbone.forward(x_t, torch.tensor([t]), rows(conditions, slice(1)))
    alpha, sigma = backbone.schedule.levels(torch.tensor([s]))
    expected = scheduler.step(prediction.output, value, x_t).prev_sample
    torch.testing.assert_close(alpha * prediction.x0 + sigma * prediction.eps, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.kind)
def test_the_reference_is_the_base_bit_for_bit(folder, backbone, conditions, choice):
    """Before the first update the policy is it too; matmul may take another way for weights that have gradients."""
    trained = load(folder)
    trainable = attach(trained, choice, seed=0)
    base = outputs(backbone, conditions)
    rounding = 0.0 if choice.kind == "lora" else 1e-5
    torch.testing.assert_close(outputs(trained, conditions), base, rtol=rounding, atol=rounding)
    update(trained, trainable, conditions)
    assert not torch.allclose(outputs(trained, conditions), base)
    with trainable.reference():
        assert torch.equal(outputs(trained, conditions), base)
        assert trained.pipeline().components[trained.part] is trained.denoiser, "samples of another model"


def test_gradient_checkpointing_changes_no_number(folder, conditions):
    """Outputs and gradients are equal, and less is kept for the backward pass."""
    found = []
    for checkpointing in (False, True):
        backbone = load(folder, gradient_checkpointing=checkpointing)
        trainable = attach(backbone, CHOICES[0], seed=0)
        update(backbone, trainable, conditions, rounds=1)
        output, kept = gradients(backbone, conditions)
        found.append((kept, output, [p.grad.clone() for p in trainable.parameters.values()]))
    (plain, output, one), (checkpointed, same, two) = found
    assert checkpointed < plain, "nothing was checkpointed"
    assert torch.equal(output, same)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert any(a.any() for a in one)


def test_forward_gives_the_denoiser_what_the_pipeline_gives_it(backbone, conditions):
    """The first step of the pipeline, from the same noise: every tensor that goes in, and what comes out."""
    pipeline = sampling.sampler(backbone, "ddim", resolution=None, seed=0, steps=2, guidance=1.0).pipeline
    x_t = oblong(backbone, 1)
    with Recorder(backbone.denoiser) as theirs:
        size = {"height": HEIGHT, "width": WIDTH}
        latents = backbone.pack(x_t)
        pipeline(PROMPTS[0], latents=latents, num_inference_steps=2, guidance_scale=1.0, output_type="latent", **size)
    t = 999 if backbone.head == "flow" else int(pipeline.scheduler.timesteps[0])
    with Recorder(backbone.denoiser) as ours, torch.no_grad():
        backbone.forward(x_t, torch.tensor([t]), rows(conditions, slice(1)))
    assert ours.first.keys() == theirs.first.keys()
    for name, tensor in theirs.first.items():
        torch.testing.assert_close(ours.first[name], tensor.expand_as(ours.first[name]), check_dtype=False, msg=name)


def test_its_pipeline_draws_images_of_keyed_noise(backbone, tiny):
    """Of the model's size, and the same whatever else is in the batch, up to one grey level."""
    prompts = PROMPTS[:1] + PROMPTS[2:]
    together, alone = (
        [torch.tensor(list(image.getdata())) for image in draw(backbone, tiny, prompts, batch_size=size)]
        for size in (2, 1)
    )
    assert all(len(image) == (tiny.drawn or tiny.resolution) ** 2 for image in together)
    for one, two in zip(together, alone, strict=True):
        assert (one - two).abs().max() <= 1
    assert (together[0] - together[1]).abs().max() > 10


def draw(backbone, tiny, prompts, **settings):
    return list(sampling.sample(backbone, prompts, steps=2, guidance=3.0, resolution=tiny.drawn, **settings))


def test_the_own_scheduler_draws_too(backbone, tiny):
    (image,) = draw(backbone, tiny, PROMPTS[:1], scheduler="own")
    assert image.size == (tiny.drawn or tiny.resolution,) * 2


def test_a_pipelines_scheduler_belongs_to_its_user(backbone):
    pipeline = backbone.pipeline()
    pipeline.scheduler = None
    assert backbone.pipeline().scheduler is not None


def test_a_saved_pipeline_is_the_same_model(backbone, conditions, tmp_path):
    backbone.pipeline().save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert torch.equal(outputs(again, again.condition(PROMPTS)), outputs(backbone, conditions))
    assert torch.equal(again.schedule.alpha, backbone.schedule.alpha)
    assert (again.head, again.resolution, again.scaling_factor) == (
        backbone.head,
        backbone.resolution,
        backbone.scaling_factor,
    )


def test_half_precision_weights_take_float32_and_give_a_finite_error(folder, conditions):
    """Adapters stay float32 inside, as training has them."""
    backbone = load(folder, dtype="bfloat16")
    attach(backbone, CHOICES[0], seed=0)
    x0, eps, t = oblong(backbone), oblong(backbone, seed=1), torch.tensor([10, 500, 999])
    with torch.no_grad():
        prediction = backbone.forward(backbone.schedule.noised(x0, eps, t), t, conditions)
    assert prediction.output.dtype == torch.bfloat16
    error = prediction.error(x0, eps)
    assert error.dtype == torch.float32
    assert torch.isfinite(error).all()
