"""Flux behind the protocol: it computes what diffusers' own pipeline computes."""

from __future__ import annotations

import pytest
import torch
from diffusers import FluxPipeline

from support.flow_models import LATENT_SHAPE, RESOLUTION, fed, save_tiny_flux
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full, Lora
from tastemaker.backbone.flux import GUIDANCE, positions, unpacked
from tastemaker.backbone.load import load
from tastemaker.base.errors import UserError

PROMPTS = ["a red circle", ""]
WIDE = (2, LATENT_SHAPE[0], 8, 12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_flux(tmp_path_factory.mktemp("flux") / "model")


@pytest.fixture(scope="module")
def backbone(folder):
    return load(folder)


@pytest.fixture(scope="module", params=["dev", "schnell"])
def each(request, tmp_path_factory):
    return load(save_tiny_flux(tmp_path_factory.mktemp("each") / "model", guidance=request.param == "dev"))


def noise(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def quiet(backbone):
    pipeline = backbone.pipeline()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_it_knows_its_shapes(backbone):
    assert backbone.resolution == 128 * 4, "as the pipeline draws, times the tiny autoencoder's factor"
    assert backbone.latent_shape(RESOLUTION) == LATENT_SHAPE
    assert (backbone.head, backbone.part, backbone.schedule.steps) == ("flow", "transformer", 1000)
    assert not any(p.requires_grad for p in backbone.denoiser.parameters())


def test_sides_that_do_not_divide_into_patches(backbone):
    with pytest.raises(UserError, match="resolution 36: not a multiple of 8"):
        backbone.latent_shape(36)
    with pytest.raises(UserError, match="latents of 8×9: both sides must be multiples of 2"):
        backbone.forward(noise((1, 16, 8, 9)), torch.tensor([5]), backbone.condition(["a"]))


def test_training_steps_are_not_shifted_by_the_images_size(each):
    assert each.schedule.sigma[[0, 499, 999]].tolist() == [0.001, 0.5, 1.0]


@pytest.mark.parametrize("shape", [WIDE, (1, 16, 12, 2)], ids=str)
def test_packing_and_positions_are_the_pipelines(backbone, shape):
    latents, (height, width) = noise(shape), shape[-2:]
    expected = FluxPipeline._pack_latents(latents, *shape)
    assert torch.equal(backbone.pack(latents), expected)
    assert torch.equal(backbone.pack(latents.transpose(0, 1).contiguous().transpose(0, 1)), expected)
    assert torch.equal(unpacked(expected, height // 2, width // 2), latents)
    ids = FluxPipeline._prepare_latent_image_ids(1, height // 2, width // 2, torch.device("cpu"), torch.float32)
    assert torch.equal(positions(height // 2, width // 2).float(), ids)


@pytest.mark.parametrize("prompt", ["a red circle", "", "größer 🎈 مرحبا", "word " * 300], ids=lambda text: text[:6])
def test_condition_is_what_the_pipeline_gives_its_transformer(backbone, prompt):
    prompts = [prompt, "another"]
    condition = backbone.condition(prompts)
    embeds, pooled, _ = backbone.pipeline().encode_prompt(prompts, None, backbone.device)
    assert condition["embeds"].shape == (2, 512, 32)
    assert condition["pooled"].shape == (2, 8)
    assert torch.equal(condition["embeds"], embeds)
    assert torch.equal(condition["pooled"], pooled)


def test_long_prompts_are_cut_in_silence(backbone, capfd):
    backbone.condition(["word " * 300])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("t", [999, 499])
def test_forward_feeds_the_transformer_what_the_pipeline_does(each, t):
    """At t = 999 it is a pipeline's first step; other σ are given, to a scheduler that shifts nothing by size."""
    x_t, steps, pipeline = noise(WIDE), torch.tensor([t, t]), quiet(each)
    if t != 999:
        pipeline.scheduler = type(pipeline.scheduler)(shift=1.0)
    with fed(each.denoiser) as calls, torch.no_grad():
        output = each.forward(x_t, steps, each.condition(PROMPTS)).output
        pipeline(
            PROMPTS,
            height=32,
            width=48,
            latents=each.pack(x_t),
            sigmas=[(t + 1) / 1000],
            num_inference_steps=1,
            guidance_scale=GUIDANCE,
            output_type="latent",
        )
        expected = each.denoiser(**calls[1])[0]
    ours, theirs = calls[0], calls[1]
    for name in ("hidden_states", "encoder_hidden_states", "pooled_projections", "img_ids", "txt_ids"):
        assert torch.equal(ours[name], theirs[name]), name
    torch.testing.assert_close(ours["timestep"], theirs["timestep"])
    torch.testing.assert_close(ours["guidance"], theirs["guidance"])
    torch.testing.assert_close(output, unpacked(expected, 4, 6), rtol=1e-5, atol=1e-6)


def test_a_distilled_model_is_told_a_guidance_of_one_and_another_none(each):
    with fed(each.denoiser) as calls, torch.no_grad():
        each.forward(noise(WIDE), torch.tensor([10, 20]), each.condition(PROMPTS))
    expected = torch.ones(2) if each.denoiser.config.guidance_embeds else None
    torch.testing.assert_close(calls[0]["guidance"], expected)


def test_sampling_from_given_noise_and_decoding(each):
    """Latents to images is the pipeline's own, shift of the autoencoder included, for images that are not square."""
    pipeline, latents = quiet(each), each.pack(noise(WIDE))
    settings = {"height": 32, "width": 48, "num_inference_steps": 2}
    drawn = pipeline(PROMPTS, latents=latents, output_type="latent", **settings).images
    images = pipeline(PROMPTS, latents=latents, output_type="pt", **settings).images
    assert images.shape == (2, 3, 32, 48)
    torch.testing.assert_close(each.decode(unpacked(drawn, 4, 6)) / 2 + 0.5, images, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("choice", [Lora(rank=2), Full()], ids=lambda choice: choice.kind)
def test_gradients_reach_what_is_trained(folder, choice):
    backbone = load(folder)
    trainable = attach(backbone, choice, seed=0)
    x_t, t = noise((2, *LATENT_SHAPE)), torch.tensor([10, 900])
    backbone.forward(x_t, t, backbone.condition(PROMPTS)).error(x_t, x_t).mean().backward()
    still = [name for name, p in trainable.parameters.items() if p.grad is None or not p.grad.any()]
    assert [name for name in still if ".lora_A." not in name] == []


def test_a_narrow_model_stays_close_to_the_wide_one(folder, backbone):
    narrow = load(folder, dtype="bfloat16")
    x_t, t, condition = noise((2, *LATENT_SHAPE)), torch.tensor([9, 899]), backbone.condition(PROMPTS)
    with torch.no_grad():
        exact, rounded = backbone.forward(x_t, t, condition), narrow.forward(x_t, t, condition)
    assert rounded.output.dtype == torch.bfloat16
    assert rounded.error(x_t, x_t).dtype == torch.float32
    torch.testing.assert_close(rounded.x0, exact.x0, rtol=0.05, atol=0.05)


def test_the_full_size_model_has_the_published_weights_and_places_for_adapters():
    """Flux.1 dev: 11 901 408 320 weights, 19 blocks with four matrices that a LoRA goes on and 38 with three.

    The defaults of the class are the model's settings; a block of the second kind has no `to_out`.
    """
    from diffusers import FluxTransformer2DModel

    with torch.device("meta"):
        model = FluxTransformer2DModel(guidance_embeds=True)
    assert sum(p.numel() for p in model.parameters()) == 11_901_408_320
    assert len([name for name, _ in model.named_modules() if name.endswith(Lora().targets)]) == 19 * 4 + 38 * 3
