"""kohya files: the published names, and the same output when diffusers reads them back."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from support.flow_models import save_tiny_flux
from support.models import save_tiny_sd, save_tiny_sdxl
from tastemaker.backbone.adapter import TRAINED, attach
from tastemaker.backbone.choice import Lora
from tastemaker.backbone.kohya import to_kohya
from tastemaker.backbone.load import load
from tastemaker.backbone.lora_file import Factors, taken_out
from tastemaker.base.errors import UserError

SD, SDXL, FLUX = "StableDiffusionPipeline", "StableDiffusionXLPipeline", "FluxPipeline"
UNET = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
UNET_TOO = ("conv1", "conv2", "time_emb_proj", "conv_shortcut", "downsamplers.0.conv", "linear_1", "linear_2")
STREAMS = ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out")
DOUBLE = tuple(f"transformer_blocks.0.attn.{layer}" for layer in STREAMS)
MODELS = {
    "attention of SD1.5": (save_tiny_sd, SD, Lora(rank=4, alpha=8)),
    "much of SD1.5": (save_tiny_sd, SD, Lora(rank=4, alpha=8, targets=(*UNET, *UNET_TOO, "conv_in", "conv_out"))),
    "attention of SDXL": (save_tiny_sdxl, SDXL, Lora(rank=4, alpha=8)),
    "much of SDXL, rsLoRA": (
        save_tiny_sdxl,
        SDXL,
        Lora(rank=4, alpha=8, rslora=True, targets=(*UNET, *UNET_TOO, "upsamplers.0.conv", "conv_in", "conv_out")),
    ),
    "double blocks of Flux": (
        save_tiny_flux,
        FLUX,
        Lora(rank=4, alpha=8, targets=(*DOUBLE, "ff.net.2", "norm1.linear")),
    ),
}


def output(backbone):
    channels, height, width = backbone.latent_shape(32)
    x_t = torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        condition = backbone.condition(["a red circle", ""])
        return backbone.forward(x_t, torch.tensor([10, 900]), condition).output


def trained(folder, choice):
    """A model whose adapter is far from its first values."""
    backbone = load(folder)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in attach(backbone, choice, seed=0).parameters.values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return backbone


@pytest.mark.parametrize("model", MODELS)
def test_diffusers_reads_the_file_back_to_the_same_output(model, tmp_path):
    save, pipeline, choice = MODELS[model]
    folder = save(tmp_path / "model")
    backbone, base = trained(folder, choice), load(folder)
    adapter = taken_out(backbone.denoiser, TRAINED)
    save_file(to_kohya(adapter, pipeline, backbone.denoiser.config), tmp_path / "x.safetensors")
    before = output(base)
    base.pipeline().load_lora_weights(tmp_path, weight_name="x.safetensors")
    assert (output(base) - output(backbone)).abs().max() < 1e-5
    assert (output(base) - before).abs().max() > 1e-2


def test_alpha_is_the_recipes_and_not_the_rank():
    one = Factors(torch.ones(4, 6), torch.ones(5, 4), alpha=8)
    found = to_kohya({"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0": one}, SD, {})
    key = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0"
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        f"{key}.lora_down.weight": (4, 6),
        f"{key}.lora_up.weight": (5, 4),
        f"{key}.alpha": (),
    }
    assert found[f"{key}.alpha"].item() == 8


def test_alpha_of_rslora_by_hand():
    """alpha / √rank = 8 / 2 = 4 = alpha' / rank with alpha' = 16."""
    one = Factors(torch.ones(4, 6), torch.ones(5, 4), alpha=8, rslora=True)
    found = to_kohya({"mid_block.attentions.0.proj_in": one}, SD, {})
    assert found["lora_unet_mid_block_attentions_0_proj_in.alpha"].item() == 16


@pytest.mark.parametrize(
    ("layer", "published"),
    [
        ("down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", "input_blocks_4_1_*_blocks_0_attn1_to_q"),
        ("down_blocks.2.attentions.1.transformer_blocks.9.ff.net.0.proj", "input_blocks_8_1_*_blocks_9_ff_net_0_proj"),
        ("mid_block.attentions.0.transformer_blocks.3.attn2.to_out.0", "middle_block_1_*_blocks_3_attn2_to_out_0"),
        ("up_blocks.0.attentions.2.transformer_blocks.0.attn2.to_k", "output_blocks_2_1_*_blocks_0_attn2_to_k"),
        ("up_blocks.1.attentions.0.proj_in", "output_blocks_3_1_proj_in"),
        ("mid_block.resnets.1.conv2", "middle_block_2_out_layers_3"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks_3_0_op"),
    ],
)  # fmt: skip
def test_names_of_sdxl_are_those_of_published_files(layer, published):
    """Stability's code numbers blocks through: three to a level down, three up."""
    one = Factors(torch.ones(4, 6), torch.ones(5, 4), alpha=4)
    found = to_kohya({layer: one}, SDXL, {"layers_per_block": 2})
    assert f"lora_unet_{published.replace('*', 'transformer')}.lora_down.weight" in found


def test_flux_of_the_published_width_is_fused_and_comes_apart_again():
    """Read back, every part is what was put in: the values that the layers have, not only the names."""
    from diffusers import FluxPipeline

    adapter = {
        f"single_transformer_blocks.7.attn.{part}": Factors(torch.randn(4, 3072), torch.randn(3072, 4), alpha=8)
        for part in ("to_q", "to_v")
    }
    found = to_kohya(adapter, FLUX, {"num_attention_heads": 24, "attention_head_dim": 128})
    assert found["lora_unet_single_blocks_7_linear1.lora_up.weight"].shape == (3 * 3072 + 12288, 16)
    read = FluxPipeline.lora_state_dict(found)
    for name, one in adapter.items():
        back = read[f"transformer.{name}.lora_B.weight"] @ read[f"transformer.{name}.lora_A.weight"]
        torch.testing.assert_close(back, 2 * one.up @ one.down)
    for untouched in ("attn.to_k", "proj_mlp"):
        assert not read[f"transformer.single_transformer_blocks.7.{untouched}.lora_B.weight"].any()


@pytest.mark.parametrize(
    ("pipeline", "layer", "reason"),
    [
        ("StableDiffusion3Pipeline", "transformer_blocks.0.attn.to_q", "no such file for a StableDiffusion3Pipeline"),
        (SDXL, "encoder_hid_proj", "the layer encoder_hid_proj has no name there"),
        (FLUX, "x_embedder", "the layer x_embedder has no name there"),
        (FLUX, "single_transformer_blocks.0.attn.to_q", "only for Flux's own width, 3072, not 16"),
        (SD, "add_embedding.linear_1", "diffusers loses the layer add_embedding.linear_1"),
    ],
)
def test_what_has_no_place_in_the_format_is_refused(pipeline, layer, reason):
    config = {"layers_per_block": 2, "num_attention_heads": 2, "attention_head_dim": 8}
    one = Factors(torch.ones(4, 6), torch.ones(5, 4), alpha=8)
    with pytest.raises(UserError, match=f"^kohya: .*{reason}"):
        to_kohya({layer: one}, pipeline, config)


def test_dora_is_refused():
    one = Factors(torch.ones(4, 6), torch.ones(5, 4), alpha=8, magnitude=torch.ones(5))
    with pytest.raises(UserError, match="DoRA"):
        to_kohya({"mid_block.attentions.0.proj_in": one}, SD, {})
