"""A CLIP in open_clip's checkpoint layout (HPSv2, OpenCLIP) as transformers' `CLIPModel` reads it.

The two compute the same: names change, each joint query-key-value matrix is cut in three, two projections are
transposed. Sizes are read from the shapes; the numbers of heads and the activation cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json

if TYPE_CHECKING:
    from torch import Tensor

VISUAL, LAYERS = "visual.", "transformer.resblocks."
WHOLE = {
    "logit_scale": "logit_scale",
    "visual.proj": "visual_projection.weight",
    "text_projection": "text_projection.weight",
}
TRANSPOSED = ("visual.proj", "text_projection")
PARTS = (
    (LAYERS, "encoder.layers."),
    (".attn.", ".self_attn."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".c_fc.", ".fc1."),
    (".c_proj.", ".fc2."),
    ("conv1.weight", "embeddings.patch_embedding.weight"),
    ("class_embedding", "embeddings.class_embedding"),
    ("positional_embedding", "embeddings.position_embedding.weight"),
    ("token_embedding.weight", "embeddings.token_embedding.weight"),
    ("ln_pre.", "pre_layrnorm."),  # transformers' own spelling
    ("ln_post.", "post_layernorm."),
    ("ln_final.", "final_layer_norm."),
)
JOINT = re.compile(r"attn\.in_proj_(weight|bias)$")
CUT = re.compile(r"attn\.[qkv]_proj\.(weight|bias)$")
LEGACY_END = 2
"""transformers' sign for the text's embedding at its highest token, which is how open_clip finds the end."""


@dataclass(frozen=True)
class Architecture:
    """What the shapes of a checkpoint do not tell; as it stands, ViT-H/14's."""

    vision_heads: int = 16
    text_heads: int = 16
    activation: str = "gelu"
    side: int = 224
    """Of the images, in pixels."""
    length: int = 77
    """Of a prompt, in tokens."""


VIT_H_14 = Architecture()
SIZES_H_14 = {"width": 1280, "layers": 32, "text width": 1024, "text layers": 24}


def read_architecture(scorer: str, path: Path) -> Architecture:
    """From open_clip's JSON: `embed_dim`, `vision_cfg`, `text_cfg`, `quick_gelu`, or the same below `model_cfg`.

    Raises `UserError` for a file that says something else.
    """
    found = read_json(path)
    try:
        model = found.get("model_cfg", found)
        vision, text = model["vision_cfg"], model["text_cfg"]
        heads = vision["width"] // vision.get("head_width", 64)
        activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
        side, length = int(vision["image_size"]), int(text.get("context_length", 77))
        return Architecture(int(heads), int(text["heads"]), activation, side, length)
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{scorer}: {path}: not an open_clip config of a ViT ({error!r})") from None


def settings(scorer: str, path: Path, state: Mapping[str, Tensor], architecture: Architecture | None) -> dict[str, Any]:
    """The arguments of transformers' `CLIPConfig` for ``state``; without ``architecture`` it must be a ViT-H/14.

    Raises `UserError` for another one, and for a state dict that is no CLIP of open_clip.
    """
    try:
        sizes = {"width": _width(state, "visual.ln_post.weight"), "layers": _layers(state, VISUAL + LAYERS)}
        sizes |= {"text width": _width(state, "ln_final.weight"), "text layers": _layers(state, LAYERS)}
        if architecture is None and sizes != SIZES_H_14:
            said = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise UserError(f"{scorer}: {path}: {said} is no ViT-H/14; give open_clip's JSON with config=FILE")
        return _settings(state, architecture or VIT_H_14)
    except KeyError as error:
        raise UserError(f"{scorer}: {path}: no CLIP in open_clip's layout: {error.args[0]} is missing") from None


def converted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` under transformers' names; ``attn_mask``, which is computed, is left out."""
    return {name: tensor for old in state if old != "attn_mask" for name, tensor in _converted(old, state[old])}


def spelled(name: str) -> str:
    """What transformers' ``name`` is called in the checkpoint, for messages."""
    whole = {new: old for old, new in WHOLE.items()}
    if name in whole:
        return whole[name]
    tower, _, rest = name.partition(".")
    for old, new in PARTS:
        rest = rest.replace(new, old)
    rest = CUT.sub(r"attn.in_proj_\1", rest)
    return (VISUAL if tower == "vision_model" else "") + rest


def _converted(old: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    new = _renamed(old)
    if JOINT.search(old):
        for letter, part in zip("qkv", tensor.chunk(3), strict=True):
            yield re.sub(r"in_proj_", f"{letter}_proj.", new), part.contiguous()
    else:
        yield new, tensor.T.contiguous() if old in TRANSPOSED else tensor


def _renamed(old: str) -> str:
    if old in WHOLE:
        return WHOLE[old]
    new = old.removeprefix(VISUAL)
    for part, other in PARTS:
        new = new.replace(part, other)
    return ("vision_model." if old.startswith(VISUAL) else "text_model.") + new


def _settings(state: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Any]:
    vision = _tower(state, VISUAL, architecture.vision_heads, architecture)
    text = _tower(state, "", architecture.text_heads, architecture)
    vision |= {"patch_size": state["visual.conv1.weight"].shape[-1], "image_size": architecture.side}
    vocabulary = len(state["token_embedding.weight"])
    text |= {"vocab_size": vocabulary, "max_position_embeddings": architecture.length}
    text |= {"bos_token_id": vocabulary - 2, "eos_token_id": LEGACY_END}
    return {"projection_dim": state["visual.proj"].shape[-1], "vision_config": vision, "text_config": text}


def _tower(state: Mapping[str, Tensor], prefix: str, heads: int, architecture: Architecture) -> dict[str, Any]:
    first = prefix + LAYERS + "0."
    return {
        "hidden_size": _width(state, first + "ln_1.weight"),
        "intermediate_size": len(state[first + "mlp.c_fc.weight"]),
        "num_hidden_layers": _layers(state, prefix + LAYERS),
        "num_attention_heads": heads,
        "hidden_act": architecture.activation,
    }


def _width(state: Mapping[str, Tensor], name: str) -> int:
    return len(state[name])


def _layers(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.removeprefix(prefix).partition(".")[0] for name in state if name.startswith(prefix)})
