import warnings

import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline

from tastemaker.process.schedule import from_scheduler
from tastemaker.world import models, pretrain
from tastemaker.world.captions import caption, draw, parse, split_of
from tastemaker.world.fit import Plan
from tastemaker.world.utility import Judge

TINY = {
    "autoencoder": Plan(steps=3, batch=4, lr=1e-3),
    "denoiser": Plan(steps=4, batch=4, lr=1e-3, checkpoint_every=2),
    "pictures": 24,
    "judged": 6,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("pretrain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "WATCHED", 4)
        done = pretrain.pretrain(out, **TINY)
        patch.setattr(pretrain, "train_autoencoder", None)  # a second call must not train
        assert pretrain.pretrain(out, **TINY) == done
    return out, done


def test_it_leaves_a_pipeline_that_diffusers_loads_in_silence(run, caplog):
    out, _ = run
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe = DiffusionPipeline.from_pretrained(out / "model")
    assert isinstance(pipe, StableDiffusionPipeline)
    assert not caplog.records
    assert {pipe.unet.dtype, pipe.vae.dtype, pipe.text_encoder.dtype} == {torch.float32}
    image = pipe(caption(draw("test", 1, 0)[0]), num_inference_steps=2, guidance_scale=1.0).images[0]
    assert image.size == (32, 32)


def test_it_shows_itself_on_the_way_and_says_what_it_is_worth(run):
    out, done = run
    assert sorted(p.name for p in (out / "denoiser/samples").glob("*.png")) == ["step-000002.png", "step-000004.png"]
    assert done["utility_true"] > 0.8
    assert 0 <= done["utility_model"] < 0.5


def test_examples_are_of_the_train_split_and_some_show_something_else():
    data = pretrain.examples(200, mistakes=0.5, seed=0)
    assert data.pixels.shape == (200, 3, 32, 32)
    assert data.pixels.min() >= -1
    assert data.pixels.max() <= 1

    scenes = [parse(text) for text in data.captions]
    assert {split_of(scene) for scene in scenes} == {"train"}
    images = ((data.pixels.permute(0, 2, 3, 1) + 1) / 2).numpy()
    right = sum(Judge(image).correct(scene) for image, scene in zip(images, scenes, strict=True))
    assert 70 < right < 130  # half of 200


def test_the_weighted_error_is_min_snr():
    """ε_θ = 0 gives a mean squared error of ε² = 4 at every t; the weight is min(SNR, 5)/SNR."""

    pipe = models.stable_diffusion(0)
    pipe.unet.conv_out.weight.data.zero_()
    pipe.unet.conv_out.bias.data.zero_()
    schedule = from_scheduler(pipe.scheduler)
    eps = 2 * torch.ones(2, 4, 8, 8)
    t = torch.tensor([10, 900])
    words = torch.zeros(2, models.TOKENS, models.WIDTH)
    snr = (pipe.scheduler.alphas_cumprod / (1 - pipe.scheduler.alphas_cumprod))[t]
    assert snr[0] > 5 > snr[1]
    expected = (4 * 5 / snr[0] + 4) / 2
    error = pretrain.weighted_error(pipe, schedule, torch.zeros_like(eps), eps, t, words)
    assert error.item() == pytest.approx(expected.item(), rel=1e-4)
