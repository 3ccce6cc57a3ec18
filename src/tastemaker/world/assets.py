"""Where the world's shipped files are."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
BASE_MODEL = ASSETS / "base"
"""The base model: a diffusers folder."""
SCORER = ASSETS / "scorer"
"""The world scorer: a transformers CLIP folder."""
COMPARISONS = ASSETS / "comparisons"
"""Comparisons drawn from the base model, in Pick-a-Pic's schema, and what only evaluation may read."""
