"""Grids of sample images drawn while a run trains: the same prompts and noise at every step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import atomic_file

if TYPE_CHECKING:
    from PIL.Image import Image

    from tastemaker.backbone.backbone import Backbone
    from tastemaker.train.config import Settings

FOLDER = "samples"


def draw(backbone: Backbone, settings: Settings) -> Image:
    """One image a prompt, in the order of the recipe; the noise is keyed by (seed, prompt)."""
    from tastemaker.evaluate.contact_sheet import grid
    from tastemaker.evaluate.sampling import sample

    images = sample(
        backbone,
        settings.sample_prompts,
        seed=settings.seed,
        steps=settings.sample_steps,
        guidance=settings.guidance,
        batch_size=settings.batch_size,
    )
    return grid(list(images))


def save(image: Image, out: Path, step: int) -> Path:
    """Write the grid drawn after ``step`` steps as ``samples/step-000100.png``."""
    path = out / FOLDER / f"step-{step:06d}.png"
    with atomic_file(path) as temporary:
        image.save(temporary, format="PNG")
    return path
