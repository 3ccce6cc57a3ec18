"""The tiny models that every backbone contract is checked on, one row a kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from support import models


class Tiny(NamedTuple):
    """A tiny model: how it is saved, and what its backbone must say of itself."""

    save: Callable[[Path], Path]
    """Writes the pipeline folder and returns it."""
    head: str
    latent_shape: tuple[int, int, int]
    condition: dict[str, tuple[int, ...]]
    """Shape of a row of every tensor of a condition."""
    scaling_factor: float
    resolution: int = models.RESOLUTION


SD = dict(latent_shape=models.LATENT_SHAPE, condition={"embeds": models.TEXT_SHAPE}, scaling_factor=0.18215)

TINY: dict[str, Tiny] = {
    "sd1": Tiny(models.save_tiny_sd, "eps", **SD),
    "sd2": Tiny(models.save_tiny_sd2, "v", **SD),
    "sd2-zero-snr": Tiny(lambda folder: models.save_tiny_sd2(folder, zero_snr=True), "v", **SD),
    "sdxl": Tiny(
        models.save_tiny_sdxl,
        "eps",
        models.LATENT_SHAPE,
        {"embeds": (77, sum(models.XL_WIDTHS)), "pooled": (models.XL_WIDTHS[1],)},
        0.13025,
    ),
}
