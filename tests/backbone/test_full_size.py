"""The denoisers at their published sizes, built without memory: parameters counted, and where adapters go."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from tastemaker.backbone.choice import Lora

SHARED: dict[str, Any] = dict(
    in_channels=4,
    out_channels=4,
    layers_per_block=2,
    act_fn="silu",
    center_input_sample=False,
    downsample_padding=1,
    flip_sin_to_cos=True,
    freq_shift=0,
    mid_block_scale_factor=1,
    norm_eps=1e-5,
    norm_num_groups=32,
)
SD15: dict[str, Any] = SHARED | dict(
    sample_size=64,
    attention_head_dim=8,
    block_out_channels=(320, 640, 1280, 1280),
    cross_attention_dim=768,
    down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
)
SDXL: dict[str, Any] = SHARED | dict(
    sample_size=128,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    attention_head_dim=(5, 10, 20),
    block_out_channels=(320, 640, 1280),
    cross_attention_dim=2048,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    projection_class_embeddings_input_dim=2816,
    transformer_layers_per_block=(1, 2, 10),
    use_linear_projection=True,
)
"""``unet/config.json`` of stable-diffusion-v1-5 and of stable-diffusion-xl-base-1.0."""

LAYERS = {"SD1.5": {320: 2 + 3, 640: 2 + 3, 1280: 2 + 1 + 3}, "SDXL": {640: 2 * (2 + 3), 1280: 10 * (2 + 1 + 3)}}
"""Width → transformer layers of that width: layers a block · (blocks down + middle + blocks up)."""
PARAMETERS = {"SD1.5": 859_520_964, "SDXL": 2_567_463_684}
UNETS = {"SD1.5": SD15, "SDXL": SDXL}


@pytest.fixture(scope="module", params=UNETS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def unet(name):
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(**UNETS[name])


@pytest.fixture(scope="module")
def adapted(unet):
    """Name → shape of the adapters' weights, with the recipe's defaults."""
    from peft import LoraConfig, inject_adapter_in_model

    choice = Lora()
    config = LoraConfig(r=choice.rank, target_modules=list(choice.targets))
    inject_adapter_in_model(config, unet, low_cpu_mem_usage=True)
    return {name: tuple(p.shape) for name, p in unet.named_parameters() if ".lora_" in name}


def test_parameters_are_the_published_number(name, unet):
    """859.5 M and 2567.5 M."""
    assert sum(p.numel() for key, p in unet.named_parameters() if ".lora_" not in key) == PARAMETERS[name]


def test_adapters_sit_on_every_attention_and_nowhere_else(name, adapted):
    """A transformer layer attends to the image and to the prompt, with four matrices each."""
    layers = sum(LAYERS[name].values())
    places = Counter(key.partition(".lora_A")[0] for key in adapted if ".lora_A." in key)
    assert set(places.values()) == {1}
    for attention in ("attn1", "attn2"):
        for target in Lora().targets:
            assert sum(place.endswith(f".{attention}.{target}") for place in places) == layers
    assert len(places) == layers * 2 * 4


def test_adapters_have_the_number_of_weights_that_the_formula_gives(name, adapted):
    """Σ r (in + out), r = 64: of width d and prompts of width c, 4 · 2d + 2 · 2d + 2 (c + d) = 14 d + 2 c a layer."""
    c = UNETS[name]["cross_attention_dim"]
    expected = sum(count * 64 * (14 * d + 2 * c) for d, count in LAYERS[name].items())
    assert sum(torch.Size(shape).numel() for shape in adapted.values()) == expected
    assert expected == {"SD1.5": 12_754_944, "SDXL": 92_897_280}[name]
