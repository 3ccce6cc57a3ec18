"""A tiny random HPSv3: its safetensors as two generations of transformers name them, and the base's files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file

HIDDEN = 32
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
VISION = dict(depth=2, embed_dim=32, num_heads=2, mlp_ratio=2, hidden_size=HIDDEN, patch_size=14, spatial_merge_size=2)
State = dict[str, torch.Tensor]


def save_tiny(folder: Path, names: Literal["old", "new"] = "old") -> State:
    """Write ``HPSv3.safetensors`` to ``folder``, the base's files below it; return the weights."""
    tokens = tokenizer()
    tokens.save_pretrained(folder / "base")
    (folder / "base" / "config.json").write_text(json.dumps(settings(len(tokens) + 40)))
    state = _state(len(tokens) + 1)
    save_file({_old(name) if names == "old" else name: value for name, value in state.items()}, folder / WEIGHTS)
    return state


WEIGHTS = "HPSv3.safetensors"


def settings(vocabulary: int) -> dict[str, Any]:
    """Qwen2-VL's config.json as the hub has it: flat, with more rows of vocabulary than there are tokens."""
    tokens = tokenizer()
    found = dict(
        model_type="qwen2_vl", hidden_size=HIDDEN, intermediate_size=48, num_hidden_layers=2, rms_norm_eps=1e-6
    )
    found |= dict(num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=8192, rope_theta=1e6)
    found |= dict(rms_norm_eps=1e-6, vocab_size=vocabulary)
    found |= dict(
        rope_scaling={"type": "mrope", "mrope_section": [2, 3, 3]}, vision_config=VISION, vocab_size=vocabulary
    )
    ends = dict(vision_start_token_id=SPECIAL[3], vision_end_token_id=SPECIAL[4], image_token_id=SPECIAL[5])
    return found | {name: tokens.convert_tokens_to_ids(token) for name, token in ends.items()}


def tokenizer() -> Any:
    """Bytes and Qwen2-VL's own tokens, without the reward token."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    words = [*SPECIAL[:1], *sorted(ByteLevel.alphabet())]
    made = Qwen2Tokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[])
    made.add_tokens(SPECIAL[1:], special_tokens=True)
    return made


def _state(vocabulary: int) -> State:
    """As transformers names it today."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Qwen2VLForConditionalGeneration(Qwen2VLConfig.from_dict(settings(vocabulary)))
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        sizes = {0: (1024, HIDDEN), 3: (16, 1024), 5: (2, 16)}
        head = {f"rm_head.{step}.weight": torch.randn(shape) / shape[1] ** 0.5 for step, shape in sizes.items()}
        head |= {f"rm_head.{step}.bias": torch.randn(shape[0]) for step, shape in sizes.items()}
    return {name: value.clone().contiguous() for name, value in (model.state_dict() | head).items()}


def _old(name: str) -> str:
    """Before transformers 4.52 the tower stood beside the language model, which had no name of its own."""
    return re.sub(r"^model\.language_model\.", "model.", re.sub(r"^model\.visual\.", "visual.", name))
