"""ImageReward as its authors lay it out: random weights, a tiny vocabulary, and BLIP in plain torch to compare with."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm, linear, softmax

State = dict[str, Tensor]
STACK = {0: (1024, 0), 2: (128, 1024), 4: (64, 128), 6: (16, 64), 7: (1, 16)}
"""Rows and columns of the linear layers; the first one's columns are the text side's width."""
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "cat", "dog", "##s", "on", ",", "the", "sea"]


def save_tiny(
    folder: Path, side: int = 224, patch: int = 32, width: int = 32, hidden: int = 24, heads: int = 4
) -> Path:
    """Write ``ImageReward.pt``, ``med_config.json`` and ``bert/vocab.txt`` of a random model to ``folder``."""
    (folder / "bert").mkdir(parents=True)
    torch.save(tiny_state(side, patch, width, hidden), folder / "ImageReward.pt")
    (folder / "med_config.json").write_text(json.dumps({"num_attention_heads": heads, "layer_norm_eps": 1e-12}))
    (folder / "bert" / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


def tiny_state(side: int, patch: int, width: int, hidden: int, depth: int = 2, positions: int = 40) -> State:
    """The names and shapes of the original, with the two contrastive heads that it carries and never uses."""
    shapes: dict[str, tuple[int, ...]] = {
        "blip.visual_encoder.cls_token": (1, 1, width),
        "blip.visual_encoder.pos_embed": (1, (side // patch) ** 2 + 1, width),
        "blip.visual_encoder.patch_embed.proj.weight": (width, 3, patch, patch),
        "blip.visual_encoder.patch_embed.proj.bias": (width,),
        "blip.visual_encoder.norm.weight": (width,),
        "blip.visual_encoder.norm.bias": (width,),
        "blip.text_encoder.embeddings.word_embeddings.weight": (len(WORDS), hidden),
        "blip.text_encoder.embeddings.position_embeddings.weight": (positions, hidden),
        "blip.text_encoder.embeddings.LayerNorm.weight": (hidden,),
        "blip.text_encoder.embeddings.LayerNorm.bias": (hidden,),
        "blip.vision_proj.weight": (5, width),
        "blip.text_proj.weight": (5, hidden),
    }
    for number in range(depth):
        shapes |= _vision_layer(f"blip.visual_encoder.blocks.{number}", width)
        shapes |= _text_layer(f"blip.text_encoder.encoder.layer.{number}", hidden, width)
    for place, (rows, columns) in STACK.items():
        shapes |= _dense(f"mlp.layers.{place}", rows, columns or hidden)
    state = {name: _random(name, shape, at) for at, (name, shape) in enumerate(shapes.items())}
    return state | {"blip.text_encoder.embeddings.position_ids": torch.arange(positions)[None]}


def image_states(state: State, pixels: Tensor, heads: int) -> Tensor:
    """A vision transformer with pre-norm: [n, 1 + patches, width]."""
    get = _under(state, "blip.visual_encoder.")
    patch = get("patch_embed.proj.weight").shape[-1]
    patches = conv2d(pixels, get("patch_embed.proj.weight"), get("patch_embed.proj.bias"), stride=patch)
    x = torch.cat([get("cls_token").expand(len(pixels), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
    x = x + get("pos_embed")
    for number in range(2):
        block = _under(state, f"blip.visual_encoder.blocks.{number}.")
        query, key, value = _affine(block, "attn.qkv", _norm(block, "norm1", x, 1e-6)).chunk(3, -1)
        x = x + _affine(block, "attn.proj", _attend(query, key, value, heads))
        hidden = gelu(_affine(block, "mlp.fc1", _norm(block, "norm2", x, 1e-6)))
        x = x + _affine(block, "mlp.fc2", hidden)
    return _norm(get, "norm", x, 1e-6)


def text_states(state: State, states: Tensor, ids: Tensor, mask: Tensor, heads: int) -> Tensor:
    """A BERT with post-norm that looks at image states in every layer: [n, tokens, hidden]."""
    get = _under(state, "blip.text_encoder.embeddings.")
    x = get("word_embeddings.weight")[ids] + get("position_embeddings.weight")[: ids.shape[1]]
    x = _norm(get, "LayerNorm", x, 1e-12)
    hidden = (1.0 - mask[:, None, None].to(x.dtype)) * -1e4
    for number in range(2):
        layer = _under(state, f"blip.text_encoder.encoder.layer.{number}.")
        for kind, seen, bias in (("attention", None, hidden), ("crossattention", states, 0)):
            source = x if seen is None else seen
            parts = [_affine(layer, f"{kind}.self.{part}", x if part == "query" else source) for part in QKV]
            added = _affine(layer, f"{kind}.output.dense", _attend(*parts, heads, bias))
            x = _norm(layer, f"{kind}.output.LayerNorm", x + added, 1e-12)
        wide = gelu(_affine(layer, "intermediate.dense", x))
        x = _norm(layer, "output.LayerNorm", x + _affine(layer, "output.dense", wide), 1e-12)
    return x


def reward(state: State, text: Tensor) -> Tensor:
    """The published number of text states, [n]."""
    x = text[:, 0]
    for place in STACK:
        x = _affine(_under(state, "mlp.layers."), str(place), x)
    return (x[:, 0] - 0.16717362830052426) / 1.0333394966054072


QKV = ("query", "key", "value")


def _under(state: State, prefix: str):
    return lambda name: state[prefix + name]


def _affine(get, name: str, x: Tensor) -> Tensor:
    return linear(x, get(f"{name}.weight"), get(f"{name}.bias"))


def _norm(get, name: str, x: Tensor, eps: float) -> Tensor:
    return layer_norm(x, x.shape[-1:], get(f"{name}.weight"), get(f"{name}.bias"), eps)


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int, bias: Tensor | int = 0) -> Tensor:
    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    logits = split(query) @ split(key).transpose(-1, -2) / math.sqrt(query.shape[-1] // heads)
    return (softmax(logits + bias, -1) @ split(value)).transpose(1, 2).flatten(2)


def _vision_layer(name: str, width: int) -> dict[str, tuple[int, ...]]:
    shapes = _dense(f"{name}.attn.qkv", 3 * width, width) | _dense(f"{name}.attn.proj", width, width)
    shapes |= _dense(f"{name}.mlp.fc1", 2 * width, width) | _dense(f"{name}.mlp.fc2", width, 2 * width)
    return shapes | {f"{name}.{norm}.{part}": (width,) for norm in ("norm1", "norm2") for part in ("weight", "bias")}


def _text_layer(name: str, hidden: int, width: int) -> dict[str, tuple[int, ...]]:
    shapes = _dense(f"{name}.intermediate.dense", 2 * hidden, hidden)
    shapes |= _dense(f"{name}.output.dense", hidden, 2 * hidden)
    norms = [f"{name}.output.LayerNorm"]
    for kind, columns in (("attention", hidden), ("crossattention", width)):
        for part in QKV:
            shapes |= _dense(f"{name}.{kind}.self.{part}", hidden, hidden if part == "query" else columns)
        shapes |= _dense(f"{name}.{kind}.output.dense", hidden, hidden)
        norms.append(f"{name}.{kind}.output.LayerNorm")
    return shapes | {f"{norm}.{part}": (hidden,) for norm in norms for part in ("weight", "bias")}


def _dense(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _random(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """Sizes at which attention and both norms matter: near 1 for a norm's weight, 1/√columns for a layer's."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if len(shape) == 1:
        return 0.3 * drawn + (1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0)
    if "embed" in name and "proj" not in name:
        return drawn
    return (1 if name.startswith("mlp.") else 2) * drawn / math.sqrt(math.prod(shape[1:]))
