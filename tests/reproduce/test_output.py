"""What exhibits leave: pictures as files of their own, numbers as JSON can hold them."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure
from PIL import Image

from tastemaker.report.drawing import ACCENT, figure
from tastemaker.reproduce.output import finite, picture, save


def test_a_figure_of_our_pages_becomes_a_picture_of_its_own(tmp_path):
    """A valid SVG with a size, on white, without the page's colours by name."""
    drawn = figure(
        "curve",
        lambda canvas, _: canvas.subplots().plot([0, 1], color=ACCENT),
        (2.0, 2.0),
        alt="A line.",
        caption="What it shows.",
        data={"x": [0, 1]},
    )
    assert picture(drawn, tmp_path, "key") == "![What it shows.](key-curve.svg)\n\nWhat it shows.\n"
    text = (tmp_path / "key-curve.svg").read_text()
    root = ET.fromstring(text)
    assert root.tag.endswith("svg")
    assert float(root.get("width")) / float(root.get("height")) == pytest.approx(7.6 / 2.0, rel=0.02)
    assert root[0].get("fill") == "#ffffff"
    assert "var(" not in text
    assert "#1f56c4" in text


def test_drawings_and_images_become_png(tmp_path):
    save(Figure(figsize=(1, 1), dpi=50), tmp_path / "drawing.png")
    save(Image.new("RGB", (7, 5), "red"), tmp_path / "image.png")
    assert [Image.open(tmp_path / name).size for name in ("drawing.png", "image.png")] == [(50, 50), (7, 5)]


def test_what_is_not_finite_is_none_however_deep():
    found = finite({"a": math.inf, "b": [1.0, (math.nan, 2)], "c": "inf", "d": None})
    assert found == {"a": None, "b": [1.0, [None, 2]], "c": "inf", "d": None}
