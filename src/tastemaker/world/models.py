"""The small models of the world, built from the same classes as the large ones: tokenizer, Stable Diffusion, CLIP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tastemaker.world.captions import caption as caption_of
from tastemaker.world.captions import split
from tastemaker.world.render import SIDE

TOKENS = 24
"""Longest caption in tokens, both ends included; the longest of the world has 22."""
END, SPECIAL = "</w>", ("<|startoftext|>", "<|endoftext|>")
WIDTH = 64
"""Width of the text encoder."""


def tokenizer() -> CLIPTokenizer:
    """A byte-level BPE like CLIP's, learned on the words of the world: each of them is one token."""
    words = sorted({word for scene in split("train")[1] + split("train")[0] for word in _words(caption_of(scene))})
    merges = learn_merges(words)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(letter + END for letter in letters), *map("".join, merges), *SPECIAL]
    return CLIPTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges, model_max_length=TOKENS)


def learn_merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Byte-pair merges (arXiv 1508.07909) until every word is one piece; equally frequent pairs in alphabetic order.

    The trainer of the `tokenizers` library breaks such ties differently in every process.
    """
    spelled = [[*word[:-1], word[-1] + END] for word in words]
    merges: list[tuple[str, str]] = []
    while counts := Counter(pair for pieces in spelled for pair in pairwise(pieces)):
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        spelled = [_merged(pieces, best) for pieces in spelled]
    return merges


def _merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for piece in pieces:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def _words(text: str) -> Sequence[str]:
    return text.replace(",", " ,").split()


def _text_settings(tokens: CLIPTokenizer) -> dict[str, int]:
    return {
        "vocab_size": len(tokens),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": TOKENS,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }


def stable_diffusion(seed: int) -> StableDiffusionPipeline:
    """An untrained Stable Diffusion for 32×32 images: f = 4, latents 4×8×8, 4.5 M weights."""
    torch.manual_seed(seed)
    tokens = tokenizer()
    return StableDiffusionPipeline(
        vae=_autoencoder(),
        text_encoder=CLIPTextModel(CLIPTextConfig(**_text_settings(tokens))),
        tokenizer=tokens,
        unet=_denoiser(),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            timestep_spacing="trailing",
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _autoencoder() -> AutoencoderKL:
    # One group per normalisation: with several, the relative strength of channels, and with it colour, is lost.
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 32),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=1,
        sample_size=SIDE,
        mid_block_add_attention=False,
    )


def _denoiser() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=SIDE // 4,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(64, 128),
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def contrastive(seed: int) -> tuple[CLIPModel, CLIPTokenizer]:
    """An untrained CLIP for 32×32 images: patches of 4 pixels, 3 layers of width 96."""
    torch.manual_seed(seed)
    tokens = tokenizer()
    vision = {
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 4,
    }
    config = CLIPConfig(text_config=_text_settings(tokens), vision_config=vision, projection_dim=64)
    return CLIPModel(config), tokens
