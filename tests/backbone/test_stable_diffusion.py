"""Stable Diffusion 1.x and 2.x: what `test_contract` does not say of all models."""

from __future__ import annotations

import pytest
import torch

from support.models import LATENT_SHAPE, RESOLUTION, TEXT_SHAPE, save_tiny_sd, save_tiny_sd2
from tastemaker.backbone.load import load
from tastemaker.base.errors import UserError
from tastemaker.evaluate import sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "eps")


@pytest.fixture(scope="module")
def backbone(folder):
    return load(folder)


@pytest.fixture
def zero(tmp_path):
    """SD2's v-prediction on a schedule rescaled to a zero terminal signal."""
    return load(save_tiny_sd2(tmp_path / "zero", zero_snr=True))


def test_the_tiny_autoencoder_has_no_spread(tmp_path):
    backbone = load(save_tiny_sd(tmp_path / "tiny", tiny_vae=True))
    pixels = torch.rand(2, 3, RESOLUTION, RESOLUTION) * 2 - 1
    moments = backbone.encode(pixels)
    assert moments.mean.shape == moments.std.shape == (2, *LATENT_SHAPE)
    assert not moments.std.any()
    noise = torch.randn(2, *LATENT_SHAPE)
    assert torch.equal(moments.at(noise), moments.mean)
    assert backbone.decode(moments.mean).shape == pixels.shape


@pytest.mark.parametrize("prompt", ["a red circle", "", "größer 🎈 مرحبا", "word " * 300])
def test_condition_is_what_the_pipeline_gives_its_unet(backbone, prompt):
    embeds = backbone.condition([prompt, "another"])["embeds"]
    expected, _ = backbone.pipeline().encode_prompt([prompt, "another"], backbone.device, 1, False)
    assert embeds.shape == (2, *TEXT_SHAPE)
    assert torch.equal(embeds, expected)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_predicted_x0_is_the_schedulers(tmp_path, prediction_type):
    from diffusers import DDIMScheduler

    backbone = load(save_tiny_sd(tmp_path / "model", prediction_type=prediction_type))
    x_t, t = torch.randn(1, *LATENT_SHAPE, generator=torch.Generator().manual_seed(1)), torch.tensor([501])
    with torch.no_grad():
        prediction = backbone.forward(x_t, t, backbone.condition(["a red circle"]))
    config = {"clip_sample": False, "set_alpha_to_one": False}
    scheduler = DDIMScheduler.from_config(backbone.pipeline().scheduler.config, **config)
    scheduler.set_timesteps(1000)
    expected = scheduler.step(prediction.output, 501, x_t).pred_original_sample
    torch.testing.assert_close(prediction.x0, expected, rtol=1e-4, atol=1e-4)


def test_zero_terminal_signal_gives_a_finite_error(zero):
    x0, eps, t = torch.randn(1, *LATENT_SHAPE), torch.randn(1, *LATENT_SHAPE), torch.tensor([999])
    x_t = zero.schedule.noised(x0, eps, t)
    assert torch.equal(x_t, eps)
    with torch.no_grad():
        prediction = zero.forward(x_t, t, zero.condition([""]))
    assert torch.isfinite(prediction.error(x0, eps)).all()
    assert torch.isfinite(prediction.x0).all()


@pytest.mark.parametrize("steps", [1, 3, 50])
def test_zero_terminal_signal_is_sampled_from_the_last_step(zero, steps):
    """The saved scheduler says ``leading``, which would start at a step that still holds signal."""
    assert zero.pipeline().scheduler.config.timestep_spacing == "leading"
    scheduler = sampling.deterministic(zero)
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps[0] == 999
    assert scheduler.alphas_cumprod[999] == 0
    (image,) = sampling.sample(zero, ["a red circle"], steps=steps, guidance=1.0)
    assert image.getextrema() != ((0, 0),) * 3, "not a number is drawn as black"


def test_where_signal_remains_the_saved_spacing_is_kept(backbone):
    scheduler = sampling.deterministic(backbone)
    assert scheduler.config.timestep_spacing == "leading"
    scheduler.set_timesteps(50)
    assert scheduler.timesteps[0] == 981


def test_latents_are_never_clipped(backbone):
    """SD1.5's PNDM says nothing of clipping, and DDIM's default is to clip the predicted x0 to [−1, 1]."""
    assert "clip_sample" not in backbone.pipeline().scheduler.config
    scheduler = sampling.deterministic(backbone)
    scheduler.set_timesteps(10)
    x_t, output = torch.full((1, *LATENT_SHAPE), 5.0), torch.zeros(1, *LATENT_SHAPE)
    x0 = scheduler.step(output, scheduler.timesteps[-1], x_t).pred_original_sample
    assert x0.min() >= 5


def test_epsilon_without_terminal_signal_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"rescale_betas_zero_snr leaves no signal at the last step.* v_prediction"):
        load(save_tiny_sd(tmp_path / "zero", prediction_type="epsilon", zero_snr=True))


def test_an_unknown_prediction_type_is_refused(tmp_path):
    with pytest.raises(UserError, match="prediction_type 'sample' is not supported; use a model of epsilon or v_pre"):
        load(save_tiny_sd(tmp_path / "sample", prediction_type="sample"))


def test_a_flow_scheduler_is_refused(backbone):
    from diffusers import FlowMatchEulerDiscreteScheduler

    pipeline = backbone.pipeline()
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler()
    with pytest.raises(UserError, match="prediction_type None is not supported"):
        type(backbone)(pipeline, lambda: "key")
