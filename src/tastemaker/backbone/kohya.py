"""LoRA weights in the file format of kohya's sd-scripts, which ComfyUI and A1111 read.

A layer is ``lora_unet_<name>`` with ``.lora_down.weight``, ``.lora_up.weight`` and ``.alpha``, and works with
alpha / rank, rank being the rows of ``lora_down``. The names are the layers' own in Stable Diffusion 1.x and 2.x (dots
as underscores) and those of the first published code in SDXL and Flux. Flux has one layer for queries, keys and values
there, so its file stacks their A and puts their B on a diagonal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tastemaker.backbone.lora_file import Factors, Layers, read
from tastemaker.backbone.source import one_line
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Fused = tuple[str, int, int]
"""A layer that stands for several: its name, which of them this is, how many they are."""

PREFIX = "lora_unet_"
OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
"""SDXL's layers outside its blocks."""
RESNET = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
DOUBLE = {
    "attn.to_q": ("img_attn.qkv", 0, 3),
    "attn.to_k": ("img_attn.qkv", 1, 3),
    "attn.to_v": ("img_attn.qkv", 2, 3),
    "attn.add_q_proj": ("txt_attn.qkv", 0, 3),
    "attn.add_k_proj": ("txt_attn.qkv", 1, 3),
    "attn.add_v_proj": ("txt_attn.qkv", 2, 3),
    "attn.to_out.0": ("img_attn.proj", 0, 1),
    "attn.to_add_out": ("txt_attn.proj", 0, 1),
    "ff.net.0.proj": ("img_mlp.0", 0, 1),
    "ff.net.2": ("img_mlp.2", 0, 1),
    "ff_context.net.0.proj": ("txt_mlp.0", 0, 1),
    "ff_context.net.2": ("txt_mlp.2", 0, 1),
    "norm1.linear": ("img_mod.lin", 0, 1),
    "norm1_context.linear": ("txt_mod.lin", 0, 1),
}
"""Flux's blocks with two streams."""
SINGLE = {
    "attn.to_q": ("linear1", 0, 4),
    "attn.to_k": ("linear1", 1, 4),
    "attn.to_v": ("linear1", 2, 4),
    "proj_mlp": ("linear1", 3, 4),
    "proj_out": ("linear2", 0, 1),
    "norm.linear": ("modulation.lin", 0, 1),
}
"""Flux's blocks with one stream."""

FLUX_WIDTH = 3072


def to_kohya(adapter: Layers, pipeline: str, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """``adapter`` as the tensors of a kohya file, checked against the names that diffusers reads back.

    ``pipeline`` is the name of the pipeline's class, ``config`` the denoiser's configuration. Raises `UserError` for
    what has no place in the format: Stable Diffusion 3, DoRA, layers that no reader knows.
    """
    if any(one.magnitude is not None for one in adapter.values()):
        raise UserError("kohya: a DoRA has no file there that all readers agree on; use --format lora or merged")
    match pipeline:
        case "StableDiffusionPipeline":
            found = _single(adapter, lambda name: name)
        case "StableDiffusionXLPipeline":
            found = _single(adapter, lambda name: _sdxl(name, int(config["layers_per_block"]) + 1))
        case "FluxPipeline":
            found = _flux(adapter, config)
        case _:
            raise UserError(f"kohya: diffusers reads no such file for a {pipeline}; use --format lora or merged")
    _check(found, adapter, pipeline, config)
    return found


def _tensors(name: str, one: Factors) -> dict[str, Tensor]:
    """The three entries of a layer; alpha so that alpha / rank is what the layer works with, rsLoRA or not."""
    import torch

    key = PREFIX + name.replace(".", "_")
    alpha = torch.tensor(one.scale * one.rank, dtype=torch.float32)
    return {f"{key}.lora_down.weight": one.down, f"{key}.lora_up.weight": one.up, f"{key}.alpha": alpha}


def _single(adapter: Layers, rename: Callable[[str], str]) -> dict[str, Tensor]:
    return {key: value for name, one in adapter.items() for key, value in _tensors(rename(name), one).items()}


def _sdxl(name: str, stride: int) -> str:
    """SDXL's first name of a layer; a level has ``stride`` blocks, of which the last changes the size."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        kind, number, rest = found.groups()
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}.{_inner(kind, rest)}"
    if found := re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", name):
        way, level, kind, number, rest = found.groups()
        index = stride * int(level) + (int(number) if kind in ("resnets", "attentions") else stride - 1)
        place = {"resnets": 0, "attentions": 1, "downsamplers": 0, "upsamplers": 2}[kind]
        block = f"input_blocks.{index + 1}" if way == "down" else f"output_blocks.{index}"
        return f"{block}.{place}.{_inner(kind, rest)}"
    raise UserError(f"kohya: the layer {name} has no name there; use --format lora or merged")


def _inner(kind: str, rest: str) -> str:
    if kind == "downsamplers":
        return "op"
    return RESNET.get(rest, rest) if kind == "resnets" else rest


def _flux(adapter: Layers, config: Mapping[str, Any]) -> dict[str, Tensor]:
    width = int(config["num_attention_heads"]) * int(config["attention_head_dim"])
    fused: dict[str, dict[int, Factors]] = {}
    parts: dict[str, int] = {}
    for name, one in adapter.items():
        layer, place, count = _flux_place(name)
        fused.setdefault(layer, {})[place] = one
        parts[layer] = count
    found: dict[str, Tensor] = {}
    for layer, given in fused.items():
        if parts[layer] == 4 and width != FLUX_WIDTH:
            raise UserError(f"kohya: diffusers reads such a file only for Flux's own width, {FLUX_WIDTH}, not {width}")
        outputs = [4 * width if (parts[layer], place) == (4, 3) else width for place in range(parts[layer])]
        found |= _tensors(layer, given[0] if parts[layer] == 1 else _diagonal(given, outputs))
    return found


def _flux_place(name: str) -> Fused:
    found = re.match(r"(single_)?transformer_blocks\.(\d+)\.(.*)", name)
    table = {} if found is None else SINGLE if found[1] else DOUBLE
    if found is None or found[3] not in table:
        raise UserError(f"kohya: the layer {name} has no name there; use --format lora or merged")
    layer, place, count = table[found[3]]
    return f"{'single' if found[1] else 'double'}_blocks.{found[2]}.{layer}", place, count


def _diagonal(given: Mapping[int, Factors], outputs: list[int]) -> Factors:
    """One layer for several that read the same input: A stacked, B on the diagonal, nothing where none is given."""
    import torch

    some = next(iter(given.values()))
    rank = max(one.rank for one in given.values())
    downs, ups = [], []
    for place, rows in enumerate(outputs):
        down, up = some.down.new_zeros(rank, *some.down.shape[1:]), some.up.new_zeros(rows, rank)
        if one := given.get(place):
            down[: one.rank], up[:, : one.rank] = one.down, one.up * one.scale
        downs.append(down)
        ups.append(up)
    return Factors(torch.cat(downs), torch.block_diag(*ups), alpha=float(rank * len(outputs)))


def _check(found: Mapping[str, Tensor], adapter: Layers, pipeline: str, config: Mapping[str, Any]) -> None:
    """Let diffusers read the file; refuse it where a layer gets lost."""
    import diffusers
    from diffusers.configuration_utils import FrozenDict

    unet = None if pipeline == "FluxPipeline" else FrozenDict(config)
    try:
        names = read(getattr(diffusers, pipeline), dict(found), unet)
    except (ValueError, KeyError, AssertionError, IndexError) as error:
        raise UserError(f"kohya: diffusers cannot read it back ({one_line(error)}); use --format lora") from error
    layers = {name.partition(".")[2].partition(".lora_")[0] for name in names}
    if lost := sorted(adapter.keys() - layers):
        raise UserError(f"kohya: diffusers loses the layer {lost[0]} on reading it back; use --format lora or merged")
