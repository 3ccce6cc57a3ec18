"""Aspect buckets: the usual ones by hand, what holds of all, and which one a pair gets."""

from __future__ import annotations

import pytest

from tastemaker.base.errors import UserError
from tastemaker.encode.buckets import bucket_of, bucket_sizes, bucket_step

SQUARE = (512, 512)
BUCKETS = [(384, 640), (448, 576), SQUARE, (576, 448), (640, 384)]
MODELS = [(512, 8), (768, 8), (1024, 8), (1024, 16), (256, 8), (32, 4), (64, 4), (96, 4)]


def test_those_of_stable_diffusion():
    """Sides of 64 pixels. 512² / 576 = 455 → 448; / 640 = 409.6 → 384; / 704 = 372 → 320, which is wider than 2."""
    assert bucket_sizes(512, 8) == BUCKETS


def test_those_of_sdxl_are_among_its_own():
    """Appendix I of the paper lists them; 1344 × 768 and 1216 × 832 are the usual photographs."""
    assert [size for size in bucket_sizes(1024, 8) if size[0] <= 1024] == [
        (704, 1408), (768, 1280), (768, 1344), (832, 1216), (896, 1152), (960, 1088), (1024, 1024),
    ]  # fmt: skip


def test_those_of_the_small_world():
    assert bucket_sizes(32, 4) == [(24, 40), (32, 32), (40, 24)]


@pytest.mark.parametrize(("resolution", "factor"), MODELS)
def test_what_holds_of_all(resolution, factor):
    step, sizes = bucket_step(resolution, factor), bucket_sizes(resolution, factor)
    assert step % (2 * factor) == 0
    assert (resolution, resolution) in sizes
    assert {(width, height) for height, width in sizes} == set(sizes)
    for height, width in sizes:
        assert height % step == width % step == 0
        assert 1 / 2 <= width / height <= 2
        assert 0.9 * resolution**2 <= height * width <= resolution**2


@pytest.mark.parametrize(("resolution", "factor", "step"), [(512, 8, 64), (1024, 8, 64), (256, 8, 32), (32, 4, 8)])
def test_the_step(resolution, factor, step):
    assert bucket_step(resolution, factor) == step


@pytest.mark.parametrize(
    ("sizes", "bucket"),
    [
        ([(100, 100)], SQUARE),
        ([(100, 147)], (384, 640)),  # logarithms meet at √(1.286 · 1.667) = 1.464, aspects themselves at 1.476
        ([(100, 146)], (448, 576)),
        ([(147, 100)], (640, 384)),
        ([(100, 900)], (384, 640)),  # wider than any
        ([(100, 200), (200, 100)], SQUARE),  # the arithmetic mean, 1.25, would be a 448 × 576
        ([(100, 200), (100, 100)], (448, 576)),  # √2
        ([(1000, 2000), (100, 100)], (448, 576)),  # aspects alone count
    ],
)
def test_the_nearest(sizes, bucket):
    assert bucket_of(sizes, BUCKETS) == bucket
    assert bucket_of(sizes[::-1], BUCKETS) == bucket


def test_resolutions_without_buckets_are_refused():
    with pytest.raises(UserError, match=r"--buckets: resolution 520 is not a multiple of 64; give --resolution"):
        bucket_sizes(520, 8)
    with pytest.raises(UserError, match=r"--buckets: resolution 16 leaves no shape but the square"):
        bucket_sizes(16, 4)
