"""Where the world's shipped files are."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_folder, sha256_file
from tastemaker.base.summary import fingerprint, finish, finished

ASSETS = Path(__file__).parent / "assets"
BASE_MODEL = ASSETS / "base"
"""The base model: a diffusers folder."""
SCORER = ASSETS / "scorer"
"""The world scorer: a transformers CLIP folder."""
COMPARISONS = ASSETS / "comparisons"
"""Comparisons drawn from the base model, in Pick-a-Pic's schema, and what only evaluation may read."""
RECIPE = ASSETS / "recipe.yaml"
"""How the demo trains."""
D3PO = ASSETS / "d3po.yaml"
"""How it learns from choices on fresh samples."""


def unpack(out: Path) -> dict[str, Any]:
    """Copy the base model (``model``), the comparisons and both recipes to ``out`` and return the summary.

    Raises `UserError` when ``out`` is there and holds anything else.
    """
    started = time.monotonic()
    shipped = {"model": BASE_MODEL, "comparisons": COMPARISONS, RECIPE.name: RECIPE, D3PO.name: D3PO}
    mark = fingerprint(files={name: _shas(path) for name, path in shipped.items()})
    if out.exists():
        if done := finished(out, mark):
            return done
        raise UserError(f"{out}: exists already; choose another --out or remove it")
    with atomic_folder(out) as folder:
        for name, path in shipped.items():
            _copy(path, folder / name)
        places = {Path(name).stem: out / name for name in shipped}
        return finish(folder, "world unpack", started, fingerprint=mark, **places)


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copy(source, target)
    else:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"))


def _shas(path: Path) -> list[str]:
    files = [path] if path.is_file() else sorted(path.rglob("[!.]*"))
    return [sha256_file(file) for file in files if file.is_file()]
