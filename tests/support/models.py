"""Tiny random Stable Diffusion and SDXL of the real classes, saved in the real folder layouts.

Every setting that decides what is computed is the published model's; widths and depths are small.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

RESOLUTION = 32
LATENT_SHAPE = (4, 8, 8)
TEXT_SHAPE = (77, 32)
XL_WIDTHS = (16, 32)
"""Widths of SDXL's two text encoders."""
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


def save_tiny_sd2(folder: Path, zero_snr: bool = False, seed: int = 0) -> Path:
    """Write a `StableDiffusionPipeline` as SD2.1 has it, for v, to ``folder`` and return it."""
    import torch
    from diffusers import StableDiffusionPipeline

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = StableDiffusionPipeline(
            vae=_vae(),
            text_encoder=_text_encoder(hidden_act="gelu"),
            tokenizer=_tokenizer(pad_token="!"),
            unet=_unet(attention_head_dim=(2, 4), use_linear_projection=True, upcast_attention=True),
            scheduler=_ddim("v_prediction", zero_snr),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_sdxl(folder: Path, force_zeros: bool = True, seed: int = 0) -> Path:
    """Write a `StableDiffusionXLPipeline` of 0.3 M random weights to ``folder`` and return it."""
    import torch
    from diffusers import StableDiffusionXLPipeline

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = StableDiffusionXLPipeline(
            vae=_vae(scaling_factor=0.13025),
            text_encoder=_text_encoder(XL_WIDTHS[0]),
            text_encoder_2=_text_encoder(XL_WIDTHS[1], projection=True, hidden_act="gelu"),
            tokenizer=_tokenizer(),
            tokenizer_2=_tokenizer(pad_token="!"),
            unet=_xl_unet(),
            scheduler=_euler(),
            force_zeros_for_empty_prompt=force_zeros,
            add_watermarker=False,
        )
    pipeline.save_pretrained(folder)
    return folder


def _tokenizer(**settings: Any) -> Any:
    """CLIP's tokenizer over single bytes: no merges, so every word is spelt out."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    words = letters + [letter + "</w>" for letter in letters] + [START, END]
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=TEXT_SHAPE[0], **settings
    )


def _text_encoder(width: int = TEXT_SHAPE[1], projection: bool = False, **settings: Any) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
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
        **settings,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def _unet(**settings: Any) -> Any:
    from diffusers import UNet2DConditionModel

    shape: dict[str, Any] = dict(
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
    )
    return UNet2DConditionModel(**shape | settings).eval()


def _xl_unet() -> Any:
    """SDXL's order of blocks: attention in the deeper ones alone, deeper there."""
    return _unet(
        block_out_channels=(16, 32, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(2, 4, 4),
        cross_attention_dim=sum(XL_WIDTHS),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + XL_WIDTHS[1],
    )


def _vae(**settings: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=LATENT_SHAPE[0],
        norm_num_groups=4,
        sample_size=RESOLUTION,
        **settings,
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


BETAS: dict[str, Any] = dict(
    num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
)


def _scheduler(prediction_type: str, zero_snr: bool) -> Any:
    """SD1.5's own scheduler; with a zero terminal signal DDIM, because PNDM has no such option."""
    from diffusers import PNDMScheduler

    if zero_snr:
        return _ddim(prediction_type, zero_snr)
    return PNDMScheduler(**BETAS, set_alpha_to_one=False, prediction_type=prediction_type, skip_prk_steps=True)


def _ddim(prediction_type: str, zero_snr: bool) -> Any:
    """SD2.1's own scheduler; it keeps its spacing of steps with ``zero_snr`` too, as saved models do."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        **BETAS,
        set_alpha_to_one=False,
        clip_sample=False,
        prediction_type=prediction_type,
        rescale_betas_zero_snr=zero_snr,
    )


def _euler() -> Any:
    """SDXL's own scheduler."""
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(**BETAS, interpolation_type="linear", timestep_spacing="leading")
