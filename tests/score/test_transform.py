"""Transforms: golden values of the published pipelines, small cases by hand, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.score.scorer import Transform
from tastemaker.score.transform import MEAN, STD, CentreCrop, PadToSquare

GOLDEN = {
    "torchvision_clip": CentreCrop(224, "torchvision"),
    "hf_clip": CentreCrop(224, "hf"),
    "hpsv2": PadToSquare(224),
}


def normalised(value: float) -> np.ndarray:
    """Of a grey level in [0, 1], for the three channels."""
    return (value - np.array(MEAN)) / np.array(STD)


def stripes(levels: list[int], height: int) -> Image.Image:
    """One grey level a column."""
    return Image.fromarray(np.tile(np.array(levels, np.uint8)[None, :, None], (height, 1, 3)))


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_values_of_forty_odd_sizes(shared_data: Path, name: str) -> None:
    """Values are printed to six decimals; mean and standard deviation in full, of sums in another order."""
    rows = json.loads((shared_data / "golden" / "preprocessing.json").read_text())
    assert len(rows) == 40
    whole = Image.open(shared_data / "imagereward" / "2.webp").convert("RGB")
    for row in rows:
        found = GOLDEN[name](whole.resize(row["size"]))
        assert found.dtype == np.float32
        assert found.shape == (3, 224, 224)
        assert found.ravel()[row["index"]] == pytest.approx(row[name]["values"], abs=1e-5), row["size"]
        assert found.mean(dtype=np.float64) == pytest.approx(row[name]["mean"], abs=1e-5)
        assert found.std(dtype=np.float64) == pytest.approx(row[name]["std"], abs=1e-5)


def test_crops_of_an_odd_rest_differ_by_one_column() -> None:
    """7 columns of which 4 stay: 3 are too many; ⌊3/2⌋ = 1, and 1.5 to the nearest even number is 2."""
    image = stripes([0, 10, 20, 30, 40, 50, 60], 4)
    for rounding, first in (("hf", 1), ("torchvision", 2)):
        found = CentreCrop(4, rounding)(image)[:, 0]
        wanted = [normalised(10 * column / 255) for column in range(first, first + 4)]
        assert found == pytest.approx(np.array(wanted).T, abs=1e-6)


@pytest.mark.parametrize(("spare", "hf", "torchvision"), [(1, 0, 0), (3, 1, 2), (5, 2, 2), (7, 3, 4), (4, 2, 2)])
def test_where_crops_begin(spare: int, hf: int, torchvision: int) -> None:
    image = stripes(list(range(4 + spare)), 4)
    for rounding, first in (("hf", hf), ("torchvision", torchvision)):
        assert CentreCrop(4, rounding)(image)[0, 0, 0] == pytest.approx(normalised(first / 255)[0], abs=1e-6)


def test_padding_is_black_before_normalising_and_centred() -> None:
    """4 × 1 pixels in a square of 4: 3 rows are missing, one above and two below."""
    found = PadToSquare(4)(stripes([255] * 4, 1))
    wanted = np.stack([normalised(0), normalised(1), normalised(0), normalised(0)], 1)
    assert found == pytest.approx(np.repeat(wanted[:, :, None], 4, 2), abs=1e-6)


def test_shrinking_without_antialias_reads_few_pixels() -> None:
    """12 → 2 columns at bicubic's (a = −0.75) four nearest only: white in the first column is not seen at all."""
    image = stripes([255] + [0] * 11, 12)
    aliased, smooth = PadToSquare(2, antialias=False)(image), PadToSquare(2)(image)
    assert aliased == pytest.approx(np.broadcast_to(normalised(0)[:, None, None], (3, 2, 2)), abs=1e-6)
    assert smooth[0, 0, 0] > aliased[0, 0, 0] + 0.1


def test_values_may_leave_the_unit_range_in_padding_but_not_in_crops() -> None:
    """Bicubic overshoots at an edge: torch keeps it, Pillow clamps to 0…255."""
    image = stripes([0] * 8 + [255] * 8, 16)
    above_white = normalised(1.0)[0] + 1e-3
    assert PadToSquare(12)(image)[0].max() > above_white
    assert CentreCrop(12)(image)[0].max() <= above_white


@pytest.mark.parametrize("transform", [CentreCrop(16, "hf"), CentreCrop(16, "torchvision"), PadToSquare(16)])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (16, 16), (17, 16), (3, 2)])
def test_any_shape_and_mode(transform: Transform, size: tuple[int, int]) -> None:
    for mode in ("RGB", "L", "RGBA"):
        found = transform(Image.new(mode, size))
        assert found.shape == (3, 16, 16)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()


def test_a_line_is_refused_before_it_fills_memory() -> None:
    with pytest.raises(ValueError, match="1 × 20000 pixels: one side is more than 1000 times the other"):
        CentreCrop()(Image.new("RGB", (1, 20000)))


def test_equal_transforms_are_equal_values_with_names_of_their_own() -> None:
    assert CentreCrop(224, "hf") == CentreCrop()
    assert len({CentreCrop(), CentreCrop(224, "hf"), PadToSquare(), PadToSquare(224)}) == 2
    every = [CentreCrop(), CentreCrop(rounding="torchvision"), CentreCrop(336), PadToSquare(), PadToSquare(224, False)]
    assert len({str(transform) for transform in every}) == len(every)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: CentreCrop(0), "side=0: give a positive number"),
        (lambda: PadToSquare(-1), "side=-1: give a positive number"),
        (lambda: CentreCrop(224, "up"), "rounding=up: say hf or torchvision"),
    ],
)
def test_refuses_impossible_settings(wrong, message: str) -> None:
    with pytest.raises(UserError, match=message):
        wrong()
