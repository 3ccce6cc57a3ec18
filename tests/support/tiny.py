"""The tiny models that every backbone contract is checked on, one row a kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from support import flow_models, models


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
    drawn: int | None = None
    """Side in pixels of the images that tests draw, where the model's own would take too long."""


FLUX_RESOLUTION = 128 * 4
"""A Flux pipeline draws 128 latents a side, whatever its transformer says; the tiny autoencoder's factor is 4."""
SD = dict(latent_shape=models.LATENT_SHAPE, condition={"embeds": models.TEXT_SHAPE}, scaling_factor=0.18215)
SD3 = dict(
    latent_shape=flow_models.LATENT_SHAPE,
    condition={"embeds": (77 + 256, flow_models.T5_WIDTH), "pooled": (sum(flow_models.CLIP_WIDTHS),)},
    scaling_factor=1.5305,
)

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
    "sd3": Tiny(flow_models.save_tiny_sd3, "flow", **SD3),
    "sd3-without-t5": Tiny(lambda folder: flow_models.save_tiny_sd3(folder, t5=False), "flow", **SD3),
    "flux": Tiny(
        flow_models.save_tiny_flux,
        "flow",
        (flow_models.LATENT_SHAPE[0], 128, 128),
        {"embeds": (512, flow_models.T5_WIDTH), "pooled": (flow_models.CLIP_WIDTHS[0],)},
        0.3611,
        FLUX_RESOLUTION,
        drawn=flow_models.RESOLUTION,
    ),
}
