"""Tiny random Stable Diffusion 3 and Flux of the real classes, saved in the real folder layouts.

Every setting that decides what is computed is the published model's; widths and depths are small.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RESOLUTION = 32
LATENT_SHAPE = (16, 8, 8)
CLIP_LENGTH, SD3_T5_LENGTH, FLUX_T5_LENGTH = 77, 256, 512
CLIP_WIDTHS, T5_WIDTH = (8, 16), 32
START, END = "<|startoftext|>", "<|endoftext|>"


def save_tiny_sd3(folder: Path, t5: bool = True, dual: bool = False, seed: int = 0) -> Path:
    """Write a `StableDiffusion3Pipeline` of 0.1 M random weights to ``folder`` and return it.

    Without ``t5`` the third text encoder and its tokenizer are missing, as ``text_encoder_3=None`` leaves them;
    ``dual`` adds what SD3.5 medium adds: a second attention in the first block, and normed queries and keys.
    """
    import torch
    from diffusers import StableDiffusion3Pipeline

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = StableDiffusion3Pipeline(
            transformer=_sd3_transformer(dual),
            scheduler=_scheduler(shift=3.0),
            vae=_vae(scaling_factor=1.5305, shift_factor=0.0609),
            text_encoder=_clip(CLIP_WIDTHS[0], projection=True),
            tokenizer=_clip_tokenizer(),
            text_encoder_2=_clip(CLIP_WIDTHS[1], projection=True),
            tokenizer_2=_clip_tokenizer(),
            text_encoder_3=_t5() if t5 else None,
            tokenizer_3=_t5_tokenizer() if t5 else None,
        )
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_flux(folder: Path, guidance: bool = True, seed: int = 0) -> Path:
    """Write a `FluxPipeline` of 0.1 M random weights to ``folder`` and return it.

    With ``guidance`` it is distilled as Flux dev is and its steps are shifted by the image's size; else it is like
    Flux schnell, without either.
    """
    import torch
    from diffusers import FluxPipeline

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = FluxPipeline(
            scheduler=_scheduler(shift=3.0, use_dynamic_shifting=True) if guidance else _scheduler(shift=1.0),
            vae=_vae(scaling_factor=0.3611, shift_factor=0.1159),
            text_encoder=_clip(CLIP_WIDTHS[0], projection=False),
            tokenizer=_clip_tokenizer(),
            text_encoder_2=_t5(),
            tokenizer_2=_t5_tokenizer(),
            transformer=_flux_transformer(guidance),
        )
    pipeline.save_pretrained(folder)
    return folder


def _sd3_transformer(dual: bool) -> Any:
    from diffusers import SD3Transformer2DModel

    return SD3Transformer2DModel(
        sample_size=LATENT_SHAPE[1],
        patch_size=2,
        in_channels=LATENT_SHAPE[0],
        out_channels=LATENT_SHAPE[0],
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        caption_projection_dim=16,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=sum(CLIP_WIDTHS),
        pos_embed_max_size=12,
        dual_attention_layers=(0,) if dual else (),
        qk_norm="rms_norm" if dual else None,
    ).eval()


def _flux_transformer(guidance: bool) -> Any:
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * LATENT_SHAPE[0],
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=CLIP_WIDTHS[0],
        guidance_embeds=guidance,
        axes_dims_rope=(2, 2, 4),
    ).eval()


def _scheduler(**config: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, **config)


def _vae(scaling_factor: float, shift_factor: float) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=LATENT_SHAPE[0],
        norm_num_groups=4,
        sample_size=RESOLUTION,
        scaling_factor=scaling_factor,
        shift_factor=shift_factor,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()


def _clip(width: int, projection: bool) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=514,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=CLIP_LENGTH,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def _clip_tokenizer() -> Any:
    """CLIP's tokenizer over single bytes: no merges, so every word is spelt out."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    words = letters + [letter + "</w>" for letter in letters] + [START, END]
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=CLIP_LENGTH
    )


def _t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=98,
        d_model=T5_WIDTH,
        d_kv=8,
        d_ff=64,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    return T5EncoderModel(config).eval()


def _t5_tokenizer() -> Any:
    """T5's tokenizer over single ASCII letters; everything else is unknown to it."""
    from transformers import T5TokenizerFast

    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0), ("▁", -2.0)]
    letters = [(chr(code), -5.0) for code in range(33, 127)]
    return T5TokenizerFast(vocab=special + letters, extra_ids=0, model_max_length=FLUX_T5_LENGTH)


@contextmanager
def fed(network: Any) -> Iterator[list[dict[str, Any]]]:
    """The keyword arguments of every call of ``network`` inside."""
    calls: list[dict[str, Any]] = []
    hook = network.register_forward_pre_hook(lambda _, __, kwargs: calls.append(kwargs), with_kwargs=True)
    try:
        yield calls
    finally:
        hook.remove()
