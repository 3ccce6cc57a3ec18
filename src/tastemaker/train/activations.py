"""What autograd keeps for the backward pass, estimated from the shapes of a denoiser's weights.

It is the inputs of the convolutions and linear layers, attention matrices not stored, times a measured factor (`kept`
of `Lora` and `Full`). Measured for SD1.5, SDXL, SD3 and Flux: with LoRA 1.93, 1.88, 1.32, 1.37 times, in full 2.26,
2.32, 2.34, 2.45 times; a test measures it again. Where an adapter computes in float32 on a model in half precision
(`Lora.widens`), it keeps a float32 copy of its input.
On a GPU the whole was 16.6 GB for SD1.5 and 32.0 for SDXL (docs/results/gpu.md), with gradients of activations in it,
so a UNet's LoRA counts 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from tastemaker.train.headers import Shapes

if TYPE_CHECKING:
    from tastemaker.backbone.choice import Adapter

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
FLOAT32 = BYTES["float32"]
PATCH = 2
"""Side in latents of what a transformer reads as one token."""
SD3_TEXT, FLUX_TEXT = 77 + 256, 512
"""Tokens of a prompt: CLIP's and T5's, and T5's alone."""
NO_PIXELS = ("time_emb", "attn2.to_k", "attn2.to_v", "class_emb", "add_embedding")
"""Layers of a UNet that see the step, the text or the image's size."""
NO_TOKENS = ("norm", "time_text_embed")
"""Layers of a transformer that see the step and the prompt as a whole."""
TEXT = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out", "ff_context", "context_embedder")
"""Layers of a transformer that see the text's tokens."""


UNIT = re.compile(r"(.*\b(?:resnets|(?:single_)?transformer_blocks)\.\d+)\.")
"""What gradient checkpointing runs again as a whole: diffusers' innermost blocks."""


class Layer(NamedTuple):
    """A convolution or linear layer: numbers that go in for one image, and bytes kept because of it."""

    name: str
    inputs: float
    held: float


def kept(
    part: str,
    denoiser: Shapes,
    latent_size: int,
    adapter: Adapter,
    dtype: str = "float32",
    checkpointing: bool = False,
) -> float:
    """Bytes of one image; ``dtype`` is the format of the frozen weights.

    ``part`` is ``unet`` or ``transformer``, ``latent_size`` the side of a latent image.
    """
    layers = list(_layers(part, denoiser, latent_size, adapter, dtype))
    return _checkpointed(layers, BYTES[dtype]) if checkpointing else sum(layer.held for layer in layers)


def _layers(part: str, denoiser: Shapes, latent_size: int, adapter: Adapter, dtype: str) -> Iterator[Layer]:
    number, copy = BYTES[dtype], FLOAT32 if adapter.widens(dtype) else 0
    rows = _pixels(denoiser, latent_size) if part == "unet" else _tokens(denoiser, latent_size)
    for name, shape in denoiser.items():
        if name.endswith(".weight") and len(shape) in (2, 4):
            inputs = shape[1] * rows(name)
            copied = copy if adapter.adapts(name) else 0
            yield Layer(name, inputs, inputs * (adapter.kept[part] * number + copied))


def _checkpointed(layers: Iterable[Layer], number: int) -> float:
    """What lies outside of units, the input of each unit, and all of the largest."""
    outside, units = 0.0, dict[str, list[Layer]]()
    for layer in layers:
        if found := UNIT.match(layer.name):
            units.setdefault(found[1], []).append(layer)
        else:
            outside += layer.held
    inputs = sum(next((layer.inputs for layer in unit if layer.inputs), 0.0) for unit in units.values())
    return outside + number * inputs + max((sum(layer.held for layer in unit) for unit in units.values()), default=0.0)


def _pixels(unet: Shapes, latent_size: int) -> Callable[[str], int]:
    """How many pixels of one image a layer sees."""
    levels = 1 + max((int(found[1]) for name in unet if (found := re.match(r"down_blocks\.(\d+)\.", name))), default=0)

    def rows(name: str) -> int:
        return 0 if any(part in name for part in NO_PIXELS) else (latent_size >> _level(name, levels)) ** 2

    return rows


def _level(name: str, levels: int) -> int:
    """How often the picture was halved where this layer works."""
    if found := re.match(r"down_blocks\.(\d+)\.", name):
        return int(found[1])
    if found := re.match(r"up_blocks\.(\d+)\.", name):
        return max(0, levels - 1 - int(found[1]) - ("upsamplers" in name))
    return levels - 1 if name.startswith("mid_block.") else 0


def _tokens(transformer: Shapes, latent_size: int) -> Callable[[str], int]:
    """How many tokens of one image and its prompt a layer sees."""
    joint = any(name.startswith("single_transformer_blocks.") for name in transformer)
    image, text = (latent_size // PATCH) ** 2, FLUX_TEXT if joint else SD3_TEXT

    def rows(name: str) -> int:
        if any(part in name for part in NO_TOKENS):
            return 0
        if name.startswith("single_transformer_blocks."):
            return image + text
        return text if any(part in name for part in TEXT) else image

    return rows
