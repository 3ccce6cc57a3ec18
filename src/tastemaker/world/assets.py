"""Where the world's shipped files are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_folder

ASSETS = Path(__file__).parent / "assets"
BASE_MODEL = ASSETS / "base"
"""The base model: a diffusers folder."""
SCORER = ASSETS / "scorer"
"""The world scorer: a transformers CLIP folder."""
COMPARISONS = ASSETS / "comparisons"
"""Comparisons drawn from the base model, in Pick-a-Pic's schema, and what only evaluation may read."""
RECIPE = ASSETS / "recipe.yaml"
"""How the demo trains."""


def unpack(out: Path) -> dict[str, Any]:
    """Copy the base model (``model``), the comparisons and the recipe to ``out``, which must not exist yet."""
    if out.exists():
        raise UserError(f"{out}: exists already; choose another --out or remove it")
    with atomic_folder(out) as folder:
        shutil.copytree(BASE_MODEL, folder / "model")
        shutil.copytree(COMPARISONS, folder / "comparisons")
        shutil.copy(RECIPE, folder)
    return {"model": out / "model", "comparisons": out / "comparisons", "recipe": out / RECIPE.name}
