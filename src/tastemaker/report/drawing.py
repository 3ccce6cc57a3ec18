"""How a figure becomes SVG text in the page's own colours and font, once for wide and once for narrow screens.

Colours are written as placeholders that become CSS variables, so that a figure follows light and dark. The same
numbers give the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tastemaker.report.page import Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    Draw = Callable[[Canvas, bool], None]

INK, MUTED, LINE, ACCENT, SECOND, THIRD, FOURTH, FIFTH = (f"#0{digit}0{digit}0{digit}" for digit in "12345678")
VARIABLES = dict(
    zip(
        (INK, MUTED, LINE, ACCENT, SECOND, THIRD, FOURTH, FIFTH),
        ("ink", "muted", "line", "accent", "second", "third", "fourth", "fifth"),
        strict=True,
    )
)
SERIES = (ACCENT, SECOND, THIRD, FOURTH, FIFTH)
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
WIDE, NARROW = 7.6, 3.7
"""Widths in inches; a page column is about 10 inches on a desk and 4.5 on a telephone."""

POINTS = 600
"""Longest curve that is drawn and written."""

STYLE = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
}


def figure(
    name: str, draw: Draw, heights: tuple[float, float], *, alt: str, caption: str, data: Mapping[str, Sequence[Any]]
) -> Figure:
    """Run ``draw(canvas, wide)`` for both widths; ``heights`` in inches (wide, narrow). ``name`` is a file name."""
    wide, narrow = (
        _svg(f"{name}-{screen}", draw, (width, height), screen == "wide")
        for screen, width, height in (("wide", WIDE, heights[0]), ("narrow", NARROW, heights[1]))
    )
    return Figure(name, wide, narrow, alt, caption, data)


def _svg(key: str, draw: Draw, size: tuple[float, float], wide: bool) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    buffer = io.StringIO()
    with warnings.catch_warnings(), mpl.rc_context({**STYLE, "svg.hashsalt": key}):
        warnings.filterwarnings("ignore", "Glyph")  # the page has the fonts that matplotlib lacks
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas, wide)
        canvas.savefig(buffer, format="svg", metadata={"Date": None})
    return _inline(buffer.getvalue(), key)


def _inline(svg: str, key: str) -> str:
    """The SVG without prologue, size and metadata, with ids of its own and the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg [^>]*?)height="[^"]*" ([^>]*?)width="[^"]*"', r"\1\2", svg, count=1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', svg)
    svg = re.sub(r'url\(#|href="#', lambda match: f"{match[0]}{key}-", svg)
    svg = re.sub(r"font: (?:(\w+) )?([\d.]+)px[^;\"]*", r"font-weight: \1; font-size: \2px", svg)
    svg = re.sub(r"(fill|stroke): (#(0\d)\3\3)\b", lambda match: f"{match[1]}: var(--{VARIABLES[match[2]]})", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
