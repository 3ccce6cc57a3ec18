"""How much memory a run needs, from the shapes of the model's weights.

Weights, gradients and the optimizer's state are counted exactly; activations are an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.backbone.lora_file import find
from tastemaker.train import headers
from tastemaker.train.activations import BYTES, FLOAT32, kept
from tastemaker.train.headers import Shapes

if TYPE_CHECKING:
    from tastemaker.train.recipe import D3po, Recipe

GB = 10**9
OTHER_PARTS = ("vae", "text_encoder", "text_encoder_2", "text_encoder_3")


def estimate(recipe: Recipe | D3po, folder: Path, latent_size: int) -> dict[str, Any]:
    """Parameters and GB by purpose, for one device.

    ``latent_size`` is the side of a latent image. Winner and loser are in one batch.
    """
    part, denoiser = headers.denoiser(folder)
    others = _count(headers.part_shapes(folder, other).values() for other in OTHER_PARTS)
    shapes = trained_shapes(recipe, denoiser)
    trained = sum(map(prod, shapes))
    stays = recipe.adapter.reference_is_free or recipe.method.needs_reference
    frozen = others + (headers.count(denoiser) if stays else 0)
    adapters = _count(adapter_shapes(path).values() for path in recipe.adapter.reads)
    gigabytes = {
        "frozen weights": (frozen * BYTES[recipe.dtype] + adapters * FLOAT32) / GB,
        "trained weights": trained * FLOAT32 / GB,
        "gradients": trained * FLOAT32 / GB,
        "optimizer": recipe.train.optimizer.state_bytes(shapes) / GB,
        "moving average": trained * FLOAT32 / GB if recipe.train.ema else 0.0,
        "activations (rough)": activations(recipe, part, denoiser, latent_size) / GB,
    }
    gigabytes["all"] = sum(gigabytes.values())
    rounded = {f"{name}, GB": round(value, 3) for name, value in gigabytes.items()}
    return {"trained parameters": trained, "frozen parameters": frozen + adapters} | rounded


def trained_shapes(recipe: Recipe | D3po, denoiser: Shapes) -> list[tuple[int, ...]]:
    """Shapes of what the optimizer moves. Raises `UserError` when the adapter that it starts from is not there."""
    return recipe.adapter.trained_shapes(denoiser, adapter_shapes)


def adapter_shapes(path: str) -> Shapes:
    """Name → shape of the matrices and vectors in an adapter's file; kohya's alpha is neither."""
    return {name: shape for name, shape in headers.header(find(path)).items() if shape}


def activations(recipe: Recipe | D3po, part: str, denoiser: Shapes, latent_size: int) -> float:
    """Bytes that one micro-batch keeps for its backward pass."""
    checkpointing = recipe.train.gradient_checkpointing
    return recipe.images_at_once * kept(part, denoiser, latent_size, recipe.adapter, recipe.dtype, checkpointing)


def _count(shapes: Iterable[Iterable[tuple[int, ...]]]) -> int:
    return sum(prod(shape) for part in shapes for shape in part)
