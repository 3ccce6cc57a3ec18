"""A tiny random Stable Diffusion of the real classes, saved in SD1.5's folder layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RESOLUTION = 32
LATENT_SHAPE = (4, 8, 8)
TEXT_SHAPE = (77, 32)
START, END = "<|startoftext|>", "<|endoftext|>"


def save_tiny_sd(
    folder: Path,
    prediction_type: str = "epsilon",
    zero_snr: bool = False,
    tiny_vae: bool = False,
    seed: int = 0,
) -> Path:
    """Write a `StableDiffusionPipeline` of 0.3 M random weights to ``folder`` and return it.

    ``prediction_type`` is ``"epsilon"`` or ``"v_prediction"``; ``zero_snr`` rescales the schedule to a zero terminal
    signal (DDIM); ``tiny_vae`` uses `AutoencoderTiny` in place of `AutoencoderKL`. Same arguments, same bytes.
    """
    import torch
    from diffusers import StableDiffusionPipeline

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = StableDiffusionPipeline(
            vae=_tiny_vae() if tiny_vae else _vae(),
            text_encoder=_text_encoder(),
            tokenizer=_tokenizer(),
            unet=_unet(),
            scheduler=_scheduler(prediction_type, zero_snr),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    """CLIP's tokenizer over single bytes: no merges, so every word is spelt out."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    words = letters + [letter + "</w>" for letter in letters] + [START, END]
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=TEXT_SHAPE[0]
    )


def _text_encoder() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    width = TEXT_SHAPE[1]
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=514,
            hidden_size=width,
            intermediate_size=2 * width,
            projection_dim=width,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TEXT_SHAPE[0],
            bos_token_id=512,
            eos_token_id=513,
            pad_token_id=513,
        )
    ).eval()


def _unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=LATENT_SHAPE[1],
        in_channels=LATENT_SHAPE[0],
        out_channels=LATENT_SHAPE[0],
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=TEXT_SHAPE[1],
        attention_head_dim=4,
        norm_num_groups=8,
    ).eval()


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=LATENT_SHAPE[0],
        norm_num_groups=4,
        sample_size=RESOLUTION,
    ).eval()


def _tiny_vae() -> Any:
    from diffusers import AutoencoderTiny

    channels = (8, 8, 8)
    return AutoencoderTiny(
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        latent_channels=LATENT_SHAPE[0],
    ).eval()


def _scheduler(prediction_type: str, zero_snr: bool) -> Any:
    """SD1.5's own scheduler; with a zero terminal signal DDIM, because PNDM has no such option."""
    from diffusers import DDIMScheduler, PNDMScheduler

    shared: dict[str, Any] = dict(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
    if zero_snr:
        return DDIMScheduler(**shared, clip_sample=False, rescale_betas_zero_snr=True, timestep_spacing="trailing")
    return PNDMScheduler(**shared, skip_prk_steps=True)
