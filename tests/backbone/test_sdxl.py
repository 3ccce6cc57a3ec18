"""SDXL: two text encoders, the empty prompt, and what the UNet is told of the image's size."""

from __future__ import annotations

import json

import pytest
import torch

from support.models import LATENT_SHAPE, XL_WIDTHS, save_tiny_sdxl
from tastemaker.backbone.load import load
from tastemaker.base.errors import UserError
from tastemaker.evaluate import sampling

SIZES = {"original_size": (1333, 801), "crops_coords_top_left": (7, 215), "target_size": (16, 32)}
TIME_IDS = torch.tensor([[1333.0, 801, 7, 215, 16, 32]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "model")


@pytest.fixture(scope="module")
def backbone(folder):
    return load(folder)


@pytest.fixture
def noise():
    return torch.randn(1, LATENT_SHAPE[0], 4, 8, generator=torch.Generator().manual_seed(0))


def encoded(backbone, prompts, guided=False, **settings):
    """(embeds, pooled) of the pipeline; ``guided`` those of its unspecified negative prompt."""
    pipeline = backbone.pipeline()
    found = pipeline.encode_prompt(prompts, device=backbone.device, do_classifier_free_guidance=guided, **settings)
    return (found[1], found[3]) if guided else (found[0], found[2])


@pytest.mark.parametrize("prompt", ["a red circle", "größer 🎈 مرحبا", "word " * 300])
def test_a_prompt_is_encoded_as_the_pipeline_does(backbone, prompt):
    condition, (embeds, pooled) = backbone.condition([prompt]), encoded(backbone, [prompt])
    assert torch.equal(condition["embeds"], embeds)
    assert torch.equal(condition["pooled"], pooled)


def test_embeds_are_the_penultimate_states_side_by_side_and_pooled_the_second_projection(backbone):
    parts, condition = backbone.pipeline(), backbone.condition(["a red circle"])
    ids = parts.tokenizer("a red circle", padding="max_length", max_length=77, return_tensors="pt").input_ids
    states = parts.text_encoder(ids, output_hidden_states=True).hidden_states
    torch.testing.assert_close(condition["embeds"][..., : XL_WIDTHS[0]], states[len(states) - 2])
    ids = parts.tokenizer_2("a red circle", padding="max_length", max_length=77, return_tensors="pt").input_ids
    second = parts.text_encoder_2(ids, output_hidden_states=True)
    torch.testing.assert_close(condition["embeds"][..., XL_WIDTHS[0] :], second.hidden_states[-2])
    torch.testing.assert_close(condition["pooled"], second.text_embeds)


def test_the_empty_prompt_is_what_guidance_starts_from(backbone):
    """Zeros, only in its own row; a pipeline that is given "" encodes it as text instead."""
    condition = backbone.condition(["a red circle", ""])
    embeds, pooled = encoded(backbone, ["a red circle"], guided=True)
    assert torch.equal(condition["embeds"][1], embeds[0])
    assert torch.equal(condition["pooled"][1], pooled[0])
    assert not condition["embeds"][1].any()
    assert condition["embeds"][0].any()
    assert encoded(backbone, [""])[0].any()


def test_where_zeros_are_not_forced_the_empty_prompt_is_text(tmp_path):
    backbone = load(save_tiny_sdxl(tmp_path / "text", force_zeros=False))
    condition, (embeds, pooled) = backbone.condition([""]), encoded(backbone, ["a"], guided=True)
    torch.testing.assert_close(condition["embeds"], embeds)
    torch.testing.assert_close(condition["pooled"], pooled)
    assert condition["embeds"].any()


@pytest.mark.parametrize("force_zeros", [True, False])
def test_pipelines_keep_the_setting_of_the_empty_prompt(tmp_path, force_zeros):
    backbone = load(save_tiny_sdxl(tmp_path / "one", force_zeros=force_zeros))
    backbone.pipeline().save_pretrained(tmp_path / "two")
    assert json.loads((tmp_path / "two/model_index.json").read_text())["force_zeros_for_empty_prompt"] is force_zeros


def told(backbone, run):
    """The ``time_ids`` that ``run`` gives the UNet, and what the UNet answers, at its first call."""
    found = []

    def record(_network, _args, kwargs, output):
        found.append((kwargs["added_cond_kwargs"]["time_ids"], output[0]))

    hook = backbone.denoiser.register_forward_hook(record, with_kwargs=True)
    with torch.no_grad():
        run()
    hook.remove()
    return found[0]


def drawn(backbone, noise, **sizes):
    """One step of the pipeline, of the same model, for 16×32 pixels."""
    pipeline = sampling.sampler(backbone, "ddim", resolution=None, seed=0, steps=1, guidance=1.0).pipeline
    settings = {"num_inference_steps": 1, "guidance_scale": 1.0, "height": 16, "width": 32, "output_type": "latent"}
    return pipeline("a red circle", latents=noise, **settings, **sizes)


@pytest.mark.parametrize("given", [True, False], ids=["the image's sizes", "none"])
def test_sizes_reach_the_unet_in_the_pipelines_order(backbone, noise, given):
    condition = backbone.condition(["a red circle"]) | ({"time_ids": TIME_IDS} if given else {})
    theirs, expected = told(backbone, lambda: drawn(backbone, noise, **(SIZES if given else {})))
    ours, output = told(backbone, lambda: backbone.forward(noise, torch.tensor([1]), condition))
    assert torch.equal(ours, theirs)
    assert ours.tolist() == (TIME_IDS if given else torch.tensor([[16.0, 32, 0, 0, 16, 32]])).tolist()
    assert ours.dtype == torch.float32
    torch.testing.assert_close(output, expected)


def test_every_example_has_its_own_sizes(backbone, noise):
    condition = backbone.condition(["a", "a"]) | {"time_ids": torch.cat([TIME_IDS, TIME_IDS.flip(1)])}
    with torch.no_grad():
        output = backbone.forward(noise.expand(2, -1, -1, -1), torch.tensor([500, 500]), condition).output
    assert not torch.allclose(output[0], output[1])


def test_sizes_are_not_rounded_in_bfloat16(folder, noise):
    """bfloat16 counts 1333 as 1336."""
    backbone = load(folder, dtype="bfloat16")
    condition = backbone.condition(["a"]) | {"time_ids": TIME_IDS}
    ours, output = told(backbone, lambda: backbone.forward(noise, torch.tensor([500]), condition))
    assert ours.tolist() == TIME_IDS.tolist()
    assert output.dtype == torch.bfloat16


@pytest.mark.parametrize("missing", ["text_encoder", "text_encoder_2"])
def test_a_model_of_one_text_encoder_is_refused(folder, backbone, missing):
    pipeline = backbone.pipeline()
    setattr(pipeline, missing, None)
    with pytest.raises(UserError, match=r"a text encoder is missing, as in SDXL's refiner.*use the base model"):
        type(backbone)(pipeline, lambda: "key")


def test_the_refiners_folder_is_refused_before_anything_is_read(folder, tmp_path):
    index = json.loads((folder / "model_index.json").read_text())
    refiner = index | {"_class_name": "StableDiffusionXLImg2ImgPipeline", "text_encoder": [None, None]}
    (tmp_path / "model_index.json").write_text(json.dumps(refiner))
    with pytest.raises(UserError, match=r"model_index\.json: SDXL's refiner only redraws .* use the base model"):
        load(tmp_path)
