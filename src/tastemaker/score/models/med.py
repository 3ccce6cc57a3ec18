"""The network of ImageReward: BLIP-large reads image and prompt together, a linear stack makes a number of it.

BLIP is Li et al. 2022 (arXiv 2201.12086), its text side a BERT that looks at the image between self-attention and
feed-forward ("med", mixture of encoder and decoder); ImageReward is Xu et al. 2023 (arXiv 2304.05977). Both sides are
the classes of transformers, filled from the names of the original checkpoint.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

from tastemaker.base.errors import UserError
from tastemaker.score.checkpoint import read_tensors
from tastemaker.score.models.weights import fill, hollow, layers, quiet, sizes

NAME = "imagereward"
MEAN, STD = 0.16717362830052426, 1.0333394966054072
"""Of the raw reward over ImageReward's own training data; its published scores are standardised with them."""
VISION_HEADS = 16
"""Of ViT-L; how a width is split into heads cannot be read off the weights."""
TEXT: dict[str, Any] = {"num_attention_heads": 12, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
"""BERT-base, where no med_config.json says so. transformers' own default is 8 heads, which would fit as well."""
WIDTHS = (1024, 128, 64, 16, 1)
STEPS = (0, 2, 4, 6, 7)
"""Places of the linear layers in the published stack; dropout stands between them and nothing else."""

VISION_NAMES = [
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^blocks\.", "encoder.layers."),
    (r"\.attn\.proj\.", ".self_attn.projection."),
    (r"\.attn\.", ".self_attn."),
    (r"\.norm([12])\.", r".layer_norm\1."),
    (r"^norm\.", "post_layernorm."),
]


class Blip(nn.Module):
    """BLIP's two sides and the linear stack."""

    def __init__(self, vision: BlipVisionConfig, text: BlipTextConfig) -> None:
        super().__init__()
        self.vision = BlipVisionModel(vision)
        self.text = BlipTextModel(text, add_pooling_layer=False)
        widths = (text.hidden_size, *WIDTHS)
        steps = zip(STEPS, widths[:-1], widths[1:], strict=True)
        self.mlp = nn.ModuleDict({str(step): nn.Linear(columns, rows) for step, columns, rows in steps})

    def look(self, pixels: Tensor) -> Tensor:
        """Image states [n, 1 + patches, width] of normalised pixels [n, 3, side, side]."""
        states: Tensor = self.vision(pixel_values=pixels).last_hidden_state
        return states

    def read(self, states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Text states [n, tokens, hidden] of prompts that look at image states."""
        read: Tensor = self.text(input_ids=ids, attention_mask=mask, encoder_hidden_states=states).last_hidden_state
        return read

    def reward(self, states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """(mlp(h_CLS) − mean) / std, float32 [n]."""
        hidden = self.read(states, ids, mask)[:, 0].float()
        for linear in self.mlp.values():
            hidden = linear(hidden)
        return (hidden[:, 0] - MEAN) / STD


def load(path: Path, settings: Path | None = None, vision_heads: int = VISION_HEADS) -> Blip:
    """The model in ``path`` (``ImageReward.pt``), in evaluation mode on the CPU; ``settings`` is its med_config.json.

    Widths, depths and the image's side are read off the weights. Raises `UserError` for files that do not fit.
    """
    tensors = read_tensors(NAME, path)
    with quiet():
        vision = _vision_config(path, tensors, vision_heads)
        text = _text_config(path, tensors, _settings(settings))
        with hollow():
            model = Blip(vision, text)
    fill(NAME, path, model, renamed(tensors))
    return model


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `Blip` from that of the original code; BLIP's unused contrastive heads are left out."""
    found = {}
    for name, tensor in tensors.items():
        side, _, rest = name.removeprefix("blip.").partition(".")
        if side == "visual_encoder":
            found[f"vision.{_vision_name(rest)}"] = tensor
        elif side == "text_encoder" and rest != "embeddings.position_ids":
            found[f"text.{rest}"] = tensor
        elif name.startswith("mlp.layers."):
            found[f"mlp.{name.removeprefix('mlp.layers.')}"] = tensor
        elif side not in ("text_encoder", "vision_proj", "text_proj"):
            found[name] = tensor
    return found


def _vision_name(name: str) -> str:
    for pattern, replacement in VISION_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _vision_config(path: Path, tensors: Mapping[str, Tensor], heads: int) -> BlipVisionConfig:
    side = "blip.visual_encoder."
    width, _, patch, _ = sizes(NAME, path, tensors, f"{side}patch_embed.proj.weight", 4)
    positions = sizes(NAME, path, tensors, f"{side}pos_embed", 3)[1]
    _divisible(path, f"{side}patch_embed.proj.weight", width, heads)
    return BlipVisionConfig(
        hidden_size=width,
        intermediate_size=sizes(NAME, path, tensors, f"{side}blocks.0.mlp.fc1.weight", 2)[0],
        num_hidden_layers=layers(tensors, f"{side}blocks."),
        num_attention_heads=heads,
        image_size=math.isqrt(positions - 1) * patch,
        patch_size=patch,
        layer_norm_eps=1e-6,  # timm's; transformers' default of 1e-5 moves the states by 1e-4
    )


def _text_config(path: Path, tensors: Mapping[str, Tensor], settings: dict[str, Any]) -> BlipTextConfig:
    side = "blip.text_encoder."
    layer = f"{side}encoder.layer."
    vocabulary, width = sizes(NAME, path, tensors, f"{side}embeddings.word_embeddings.weight", 2)
    _divisible(path, f"{side}embeddings.word_embeddings.weight", width, settings["num_attention_heads"])
    return BlipTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        encoder_hidden_size=sizes(NAME, path, tensors, f"{layer}0.crossattention.self.key.weight", 2)[1],
        intermediate_size=sizes(NAME, path, tensors, f"{layer}0.intermediate.dense.weight", 2)[0],
        num_hidden_layers=layers(tensors, layer),
        max_position_embeddings=sizes(NAME, path, tensors, f"{side}embeddings.position_embeddings.weight", 2)[0],
        is_decoder=True,  # that gives it cross-attention; it is run as an encoder
        **settings,
    )


def _settings(path: Path | None) -> dict[str, Any]:
    if path is None:
        return TEXT
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        return {key: type(value)(given.get(key, value)) for key, value in TEXT.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{NAME}: {path}: not readable as med_config.json ({error}); fetch it again") from None


def _divisible(path: Path, name: str, width: int, heads: int) -> None:
    if heads < 1 or width % heads:
        raise UserError(f"{NAME}: {path}: {name}: a width of {width} does not make {heads} attention heads")
