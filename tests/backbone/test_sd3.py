"""Stable Diffusion 3 behind the protocol: it computes what diffusers' own pipeline computes."""

from __future__ import annotations

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler

from support.flow_models import LATENT_SHAPE, RESOLUTION, fed, save_tiny_sd3
from tastemaker.backbone.adapter import attach
from tastemaker.backbone.choice import Full, Lora
from tastemaker.backbone.load import load
from tastemaker.base.errors import UserError

MODELS = {"sd3": {}, "sd3-without-t5": {"t5": False}, "sd3.5": {"dual": True}}
PROMPTS = ["a red circle", ""]
WIDE = (2, LATENT_SHAPE[0], 8, 12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_sd3(tmp_path_factory.mktemp("sd3") / "model")


@pytest.fixture(scope="module")
def backbone(folder):
    return load(folder)


@pytest.fixture(scope="module", params=MODELS)
def each(request, tmp_path_factory):
    return load(save_tiny_sd3(tmp_path_factory.mktemp("each") / "model", **MODELS[request.param]))


def noise(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def quiet(backbone):
    pipeline = backbone.pipeline()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_it_knows_its_shapes(backbone):
    assert backbone.resolution == RESOLUTION
    assert backbone.latent_shape(RESOLUTION) == LATENT_SHAPE
    assert backbone.latent_shape(96) == (16, 24, 24)
    assert (backbone.head, backbone.part, backbone.schedule.steps) == ("flow", "transformer", 1000)
    assert not any(p.requires_grad for p in backbone.denoiser.parameters())


def test_sides_that_the_model_cannot_read(backbone):
    with pytest.raises(UserError, match="resolution 36: not a multiple of 8"):
        backbone.latent_shape(36)
    with pytest.raises(UserError, match="latents of 26×26: this model has positions for sides up to 96 pixels"):
        backbone.latent_shape(104)
    condition, t = backbone.condition(["a"]), torch.tensor([5])
    with pytest.raises(UserError, match="latents of 8×9: both sides must be multiples of 2"):
        backbone.forward(noise((1, 16, 8, 9)), t, condition)
    with pytest.raises(UserError, match="latents of 8×26: this model has positions"):
        backbone.forward(noise((1, 16, 8, 26)), t, condition)


def test_the_shift_of_the_training_steps_is_three(backbone):
    """s = 0.5 at the 500th step of 1000: 3 s / (1 + 2 s) = 0.75."""
    assert backbone.schedule.sigma[499].item() == 0.75
    assert backbone.schedule.sigma[999].item() == 1


@pytest.mark.parametrize("prompt", ["a red circle", "", "größer 🎈 مرحبا", "word " * 300], ids=lambda text: text[:6])
def test_condition_is_what_the_pipeline_gives_its_transformer(each, prompt):
    prompts = [prompt, "another"]
    condition = each.condition(prompts)
    embeds, _, pooled, _ = each.pipeline().encode_prompt(prompts, None, None, each.device, 1, False)
    assert condition["embeds"].shape == (2, 77 + 256, 32)
    assert condition["pooled"].shape == (2, 8 + 16)
    assert torch.equal(condition["embeds"], embeds)
    assert torch.equal(condition["pooled"], pooled)


def test_the_layout_of_the_embeddings(backbone, tmp_path):
    embeds = backbone.condition(["a red circle"])["embeds"][0]
    assert embeds[:77, :24].any(dim=1).all()
    assert not embeds[:77, 24:].any(), "filled up with zeros"
    assert embeds[77:].any(dim=1).all()
    without = load(save_tiny_sd3(tmp_path / "model", t5=False))
    assert not without.condition(["a red circle"])["embeds"][0, 77:].any()


def test_long_prompts_are_cut_in_silence(backbone, capfd):
    backbone.condition(["word " * 300])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("t", [999, 499])
def test_forward_feeds_the_transformer_what_the_pipeline_does(each, t):
    """At t = 999 it is a pipeline's first step; at any other step σ is given, before its shift."""
    x_t, steps = noise(WIDE), torch.tensor([t, t])
    with fed(each.denoiser) as calls, torch.no_grad():
        output = each.forward(x_t, steps, each.condition(PROMPTS)).output
        quiet(each)(
            PROMPTS,
            height=32,
            width=48,
            latents=x_t,
            sigmas=[(t + 1) / 1000],
            num_inference_steps=1,
            guidance_scale=1.0,
            output_type="latent",
        )
        expected = each.denoiser(**calls[1])[0]
    ours, theirs = calls[0], calls[1]
    for name in ("hidden_states", "encoder_hidden_states", "pooled_projections"):
        assert torch.equal(ours[name], theirs[name]), name
    torch.testing.assert_close(ours["timestep"], theirs["timestep"])
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)


def test_sampling_from_given_noise_and_decoding(each):
    """Latents to images is the pipeline's own, shift of the autoencoder included, for images that are not square."""
    pipeline, latents = quiet(each), each.pack(noise(WIDE))
    settings = {"height": 32, "width": 48, "num_inference_steps": 2, "guidance_scale": 3.0}
    drawn = pipeline(PROMPTS, latents=latents, output_type="latent", **settings).images
    images = pipeline(PROMPTS, latents=latents, output_type="pt", **settings).images
    assert images.shape == (2, 3, 32, 48)
    torch.testing.assert_close(each.decode(drawn) / 2 + 0.5, images, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("choice", [Lora(rank=2), Full()], ids=lambda choice: choice.kind)
def test_gradients_reach_what_is_trained(folder, choice):
    """B alone moves first in a LoRA; the last block's text queries are read by none, because its text ends there."""
    backbone = load(folder)
    trainable = attach(backbone, choice, seed=0)
    x_t, t = noise((2, *LATENT_SHAPE)), torch.tensor([10, 900])
    backbone.forward(x_t, t, backbone.condition(PROMPTS)).error(x_t, x_t).mean().backward()
    still = {name for name, p in trainable.parameters.items() if p.grad is None or not p.grad.any()}
    read_by_none = {f"transformer_blocks.1.attn.add_q_proj.{kind}" for kind in ("weight", "bias")}
    assert {name for name in still if ".lora_A." not in name} == (read_by_none if choice.kind == "full" else set())


def test_a_narrow_model_stays_close_to_the_wide_one(folder, backbone):
    narrow = load(folder, dtype="bfloat16")
    x_t, t, condition = noise((2, *LATENT_SHAPE)), torch.tensor([10, 900]), backbone.condition(PROMPTS)
    with torch.no_grad():
        exact, rounded = backbone.forward(x_t, t, condition), narrow.forward(x_t, t, condition)
    assert rounded.output.dtype == torch.bfloat16
    assert rounded.error(x_t, x_t).dtype == torch.float32
    torch.testing.assert_close(rounded.x0, exact.x0, rtol=0.05, atol=0.05)


def test_a_scheduler_that_is_no_flow_is_refused(tmp_path):
    """It solves the flow, but its ᾱ are of a diffusion that SD3 knows nothing of."""
    folder = save_tiny_sd3(tmp_path / "model")
    pipeline = load(folder).pipeline()
    pipeline.scheduler = DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction")
    pipeline.save_pretrained(tmp_path / "other")
    with pytest.raises(UserError, match="scheduler: DPMSolverMultistepScheduler says nothing of a flow"):
        load(tmp_path / "other")


def test_the_full_size_model_has_the_published_weights_and_places_for_adapters():
    """Stable Diffusion 3 medium: 2 028 328 000 weights, 24 blocks with four matrices each that a LoRA goes on."""
    from diffusers import SD3Transformer2DModel

    with torch.device("meta"):
        model = SD3Transformer2DModel(
            num_layers=24, num_attention_heads=24, caption_projection_dim=1536, pos_embed_max_size=192
        )
    assert sum(p.numel() for p in model.parameters()) == 2_028_328_000
    assert len([name for name, _ in model.named_modules() if name.endswith(Lora().targets)]) == 24 * 4
