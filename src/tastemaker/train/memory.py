"""How much memory a run needs, from the shapes of the model's weights.

Weights, gradients and the optimizer's state are counted exactly. Activations are an estimate: for the backward pass a
UNet keeps `KEPT` times the inputs of its convolutions and linear layers, attention matrices not stored. What autograd
saves in SD1.5 and SDXL is 1.93 and 1.88 times with LoRA, 2.26 and 2.32 times in full; a test measures it again.
"""

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.train import headers
from tastemaker.train.headers import Shapes

if TYPE_CHECKING:
    from tastemaker.train.recipe import Recipe

GB = 10**9
FLOAT32 = 4
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
OTHER_PARTS = ("vae", "text_encoder", "text_encoder_2")
KEPT = {"lora": 1.9, "full": 2.3}
"""Kept for the backward pass, in multiples of the layers' inputs."""


def estimate(recipe: Recipe, folder: Path, latent_size: int) -> dict[str, Any]:
    """Parameters and GB by purpose, for one device.

    ``latent_size`` is the side of a latent image. Winner and loser are in one batch.
    """
    unet = headers.part_shapes(folder, "unet")
    others = sum(headers.count(headers.part_shapes(folder, part)) for part in OTHER_PARTS)
    shapes = trained_shapes(recipe, unet)
    trained = sum(map(prod, shapes))
    unet_stays = recipe.adapter.kind == "lora" or recipe.method.needs_reference
    frozen = others + (headers.count(unet) if unet_stays else 0)
    gigabytes = {
        "frozen weights": frozen * BYTES[recipe.dtype] / GB,
        "trained weights": trained * FLOAT32 / GB,
        "gradients": trained * FLOAT32 / GB,
        "optimizer": recipe.train.optimizer.state_bytes(shapes) / GB,
        "moving average": trained * FLOAT32 / GB if recipe.train.ema else 0.0,
        "activations (rough)": activations(recipe, unet, latent_size) / GB,
    }
    gigabytes["all"] = sum(gigabytes.values())
    rounded = {f"{name}, GB": round(value, 3) for name, value in gigabytes.items()}
    return {"trained parameters": trained, "frozen parameters": frozen} | rounded


def trained_shapes(recipe: Recipe, unet: Shapes) -> list[tuple[int, ...]]:
    """Shapes of what the optimizer moves: all of the UNet, or two thin matrices for each weight that LoRA targets.

    A weight [out, in, …] gets [rank, in, …] and [out, rank] (arXiv 2106.09685).
    """
    if recipe.adapter.kind == "full":
        return list(unet.values())
    adapter = recipe.adapter
    targeted = [shape for name, shape in unet.items() if len(shape) > 1 and is_target(name, adapter.targets)]
    return [thin for out, *rest in targeted for thin in ((adapter.rank, *rest), (out, adapter.rank))]


def is_target(weight: str, targets: tuple[str, ...]) -> bool:
    """Whether LoRA is put on the layer of this weight: its name is a target or ends in `.target`."""
    layer = weight.removesuffix(".weight")
    return any(layer == target or layer.endswith(f".{target}") for target in targets)


def activations(recipe: Recipe, unet: Shapes, latent_size: int) -> float:
    """Bytes that one micro-batch keeps for its backward pass."""
    images = recipe.train.batch_size * (2 if recipe.method.needs_loser else 1)
    levels = 1 + max((int(found[1]) for name in unet if (found := re.match(r"down_blocks\.(\d+)\.", name))), default=0)
    blocks: dict[str, float] = {}
    for name, shape in unet.items():
        if name.endswith(".weight") and len(shape) in (2, 4):
            side = latent_size >> _level(name, levels)
            block = ".".join(name.split(".")[:2])
            blocks[block] = blocks.get(block, 0) + _width(name, shape) * side * side
    inputs = max(blocks.values()) if recipe.train.gradient_checkpointing else sum(blocks.values())
    return images * inputs * KEPT[recipe.adapter.kind] * BYTES[recipe.dtype]


def _level(name: str, levels: int) -> int:
    """How often the picture was halved where this layer works."""
    if found := re.match(r"down_blocks\.(\d+)\.", name):
        return int(found[1])
    if found := re.match(r"up_blocks\.(\d+)\.", name):
        return max(0, levels - 1 - int(found[1]) - ("upsamplers" in name))
    return levels - 1 if name.startswith("mid_block.") else 0


def _width(name: str, shape: tuple[int, ...]) -> int:
    """Input channels a pixel; layers on the time or the text see no pixels."""
    if any(part in name for part in ("time_emb", "attn2.to_k", "attn2.to_v", "class_emb")):
        return 0
    return shape[1]
