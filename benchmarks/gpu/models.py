"""Stable Diffusion 1.5 and XL of the published shapes with random weights, in folders as the hub has them.

What a step costs does not depend on what the weights know. Tokenizer and schedule are the small world's; its
schedule is theirs.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from tastemaker.world.assets import BASE_MODEL

SEED = 0


@dataclass(frozen=True)
class Shape:
    """Of a base model: ``side`` in pixels, and the settings of its parts that differ from diffusers' defaults."""

    side: int
    unet: dict[str, Any]
    text: dict[str, Any]
    text_2: dict[str, Any] | None
    autoencoder: tuple[int, ...] = (128, 256, 512, 512)


VIT_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
BIG_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
XL_UNET = {
    "cross_attention_dim": 2048,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
NARROW = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
NARROW_UNET = {"cross_attention_dim": 32, "block_out_channels": (32, 32, 32, 32), "layers_per_block": 1}
SHAPES = {
    "sd15": Shape(512, {"cross_attention_dim": 768}, VIT_L, None),
    "sdxl": Shape(1024, XL_UNET, VIT_L, BIG_G | {"projection_dim": 1280}),
    "tiny": Shape(64, NARROW_UNET, NARROW, None, (32, 32, 32, 32)),
}
"""``tiny`` is no model of anybody's: it tries the scripts out."""


def save(name: str, folder: Path, dtype: torch.dtype) -> Path:
    """Write the model ``name`` of `SHAPES` to ``folder`` and return it; its weights are drawn where there is a GPU."""
    shape, device = SHAPES[name], "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(SEED)
    with torch.device(device):
        parts = _parts(shape)
    parts = {key: part.to(dtype) if isinstance(part, torch.nn.Module) else part for key, part in parts.items()}
    if shape.text_2 is None:
        pipeline = StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    else:
        pipeline = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.save_pretrained(folder)
    return folder


def _parts(shape: Shape) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "vae": _autoencoder(shape),
        "text_encoder": _text(shape.text, CLIPTextModel),
        "tokenizer": _tokenizer(),
        "unet": UNet2DConditionModel(sample_size=shape.side // 8, **shape.unet),
        "scheduler": DDIMScheduler.from_pretrained(BASE_MODEL / "scheduler", timestep_spacing="leading"),
    }
    if shape.text_2 is not None:
        second = _text(shape.text_2 | {"hidden_act": "gelu"}, CLIPTextModelWithProjection)
        parts |= {"text_encoder_2": second, "tokenizer_2": _tokenizer()}
    return parts


def _tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(BASE_MODEL / "tokenizer", model_max_length=77)


def _text(settings: dict[str, Any], kind: type[Any]) -> Any:
    ends = {"bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}
    return kind(CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, **ends, **settings)).eval()


def _autoencoder(shape: Shape) -> AutoencoderKL:
    levels = len(shape.autoencoder)
    return AutoencoderKL(
        block_out_channels=shape.autoencoder,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=2,
        latent_channels=4,
        sample_size=shape.side,
        scaling_factor=0.13025 if shape.text_2 else 0.18215,
    ).eval()
