"""Stable Diffusion behind the protocol: it computes what diffusers' own pipeline computes."""

from __future__ import annotations

import pytest
import torch

from support.models import LATENT_SHAPE, RESOLUTION, TEXT_SHAPE, save_tiny_sd
from tastemaker.backbone.load import load
from tastemaker.base.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_sd(tmp_path_factory.mktemp("sd") / "eps")


@pytest.fixture(scope="module")
def backbone(folder):
    return load(folder)


@pytest.fixture(scope="module")
def pixels():
    return torch.rand(2, 3, RESOLUTION, RESOLUTION, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_it_knows_its_shapes(backbone):
    assert backbone.resolution == RESOLUTION
    assert backbone.latent_shape(RESOLUTION) == LATENT_SHAPE
    assert backbone.latent_shape(2 * RESOLUTION) == (LATENT_SHAPE[0], 2 * LATENT_SHAPE[1], 2 * LATENT_SHAPE[2])
    assert backbone.schedule.steps == 1000
    assert backbone.head == "eps"
    with pytest.raises(UserError, match="resolution 30: not a multiple of 4"):
        backbone.latent_shape(30)


def test_everything_is_frozen(backbone):
    parts = backbone.pipeline().components.values()
    modules = [part for part in parts if isinstance(part, torch.nn.Module)]
    assert len(modules) == 3
    assert not any(p.requires_grad for module in modules for p in module.parameters())
    assert not any(module.training for module in modules)


def test_moments_are_the_vae_posterior_times_the_scaling_factor(backbone, pixels):
    moments = backbone.encode(pixels)
    posterior = backbone.pipeline().vae.encode(pixels).latent_dist
    assert moments.mean.shape == (2, *LATENT_SHAPE)
    torch.testing.assert_close(moments.mean, posterior.mean * 0.18215)
    torch.testing.assert_close(moments.std, posterior.std * 0.18215)
    noise = torch.randn(2, *LATENT_SHAPE)
    torch.testing.assert_close(moments.at(noise), (posterior.mean + posterior.std * noise) * 0.18215)


def test_decode_takes_the_scaling_back(backbone, pixels):
    mean = backbone.encode(pixels).mean
    decoded = backbone.decode(3 * mean)
    expected = backbone.pipeline().vae.decode(3 * mean / 0.18215).sample.clamp(-1, 1)
    torch.testing.assert_close(decoded, expected)
    assert decoded.abs().max() <= 1


def test_the_tiny_autoencoder_has_no_spread(tmp_path, pixels):
    backbone = load(save_tiny_sd(tmp_path / "tiny", tiny_vae=True))
    moments = backbone.encode(pixels)
    assert moments.mean.shape == moments.std.shape == (2, *LATENT_SHAPE)
    assert not moments.std.any()
    assert backbone.decode(moments.mean).shape == pixels.shape


@pytest.mark.parametrize("prompt", ["a red circle", "", "größer 🎈 مرحبا", "word " * 300])
def test_condition_is_what_the_pipeline_gives_its_unet(backbone, prompt):
    embeds = backbone.condition([prompt, "another"])["embeds"]
    expected, _ = backbone.pipeline().encode_prompt([prompt, "another"], backbone.device, 1, False)
    assert embeds.shape == (2, *TEXT_SHAPE)
    assert torch.equal(embeds, expected)


@pytest.mark.parametrize(("prediction_type", "head"), [("epsilon", "eps"), ("v_prediction", "v")])
def test_forward_is_the_scheduler_reading_of_the_unet(tmp_path, prediction_type, head):
    """DDIM's predicted clean sample from the same output is `Prediction.x0`."""
    from diffusers import DDIMScheduler

    backbone = load(save_tiny_sd(tmp_path / "model", prediction_type=prediction_type))
    x_t, t = torch.randn(1, *LATENT_SHAPE, generator=torch.Generator().manual_seed(1)), torch.tensor([501])
    condition = backbone.condition(["a red circle"])
    with torch.no_grad():
        prediction = backbone.forward(x_t, t, condition)
        output = backbone.denoiser(x_t, t, encoder_hidden_states=condition["embeds"]).sample
    assert prediction.head == head
    assert torch.equal(prediction.output, output)
    config = {"clip_sample": False, "set_alpha_to_one": False}
    scheduler = DDIMScheduler.from_config(backbone.pipeline().scheduler.config, **config)
    scheduler.set_timesteps(1000)
    expected = scheduler.step(output, 501, x_t).pred_original_sample
    torch.testing.assert_close(prediction.x0, expected, rtol=1e-4, atol=1e-4)


def test_zero_terminal_snr_gives_a_finite_error(tmp_path):
    backbone = load(save_tiny_sd(tmp_path / "zero", prediction_type="v_prediction", zero_snr=True))
    x0, eps, t = torch.randn(1, *LATENT_SHAPE), torch.randn(1, *LATENT_SHAPE), torch.tensor([999])
    x_t = backbone.schedule.noised(x0, eps, t)
    assert torch.equal(x_t, eps)
    with torch.no_grad():
        error = backbone.forward(x_t, t, backbone.condition([""])).error(x0, eps)
    assert torch.isfinite(error).all()


def test_a_pipelines_scheduler_belongs_to_its_user(backbone):
    pipeline = backbone.pipeline()
    pipeline.scheduler = None
    assert backbone.pipeline().scheduler is not None


def test_an_unknown_prediction_type_is_refused(tmp_path):
    with pytest.raises(UserError, match="prediction_type 'sample' is not supported"):
        load(save_tiny_sd(tmp_path / "sample", prediction_type="sample"))
