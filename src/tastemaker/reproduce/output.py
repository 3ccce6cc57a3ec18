"""What exhibits leave beside their part of the page: pictures, and numbers as JSON can hold them."""

from __future__ import annotations

import math
import re
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import atomic_file, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from PIL.Image import Image

    from tastemaker.report.page import Figure

POINT = 4 / 3
"""Pixels."""


def save(picture: Canvas | Image, path: Path) -> None:
    """Write a drawing, or an image, as PNG."""
    with atomic_file(path) as temporary:
        (picture.savefig if hasattr(picture, "savefig") else picture.save)(temporary, format="png")


def picture(figure: Figure, folder: Path, key: str) -> str:
    """Write a figure of our HTML pages as a file of its own, in the light colours; what shows it in Markdown."""
    palette = resources("tastemaker.report").joinpath("templates/palette.css").read_text(encoding="utf-8")
    colours = dict(reversed(re.findall(r"--(\w+): (#\w+)", palette)))  # the light ones stand first
    svg = re.sub(r"var\(--(\w+)\)", lambda found: colours[found[1]], figure.wide)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert box is not None, f"{figure.name} has a size"
    width, height = (round(POINT * float(side)) for side in box.groups())
    page = f'<rect width="100%" height="100%" fill="{colours["surface"]}"/>'
    head, _, rest = svg.partition(">")
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    style = f' width="{width}" height="{height}" font-family="DejaVu Sans, sans-serif">'
    write_text(folder / f"{key}-{figure.name}.svg", f"{head}{style}{page}{rest}")
    return f"![{figure.caption}]({key}-{figure.name}.svg)\n\n{figure.caption}\n"


def finite(value: Any) -> Any:
    """``value`` with None in place of every number that is not finite."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
