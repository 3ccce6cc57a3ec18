import numpy as np
import pytest

from tastemaker.world.captions import SHAPES, Scene, Thing, draw
from tastemaker.world.render import COLOUR, RADIUS, SIDE, Jitter, distance, mask, render, to_bytes

AREA = {"circle": np.pi, "square": (2 * 0.9) ** 2, "triangle": 2.3}
AREA["cross"] = 2 * (2 * 1.05) * (2 * 0.36) - (2 * 0.36) ** 2
"""Of half extent 1: circle π; square (2·0.9)²; triangle 2.3 · 2 / 2; cross two bars less their common middle."""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_large_mask_has_the_area_of_the_shape(shape):
    covered = mask(Thing("large", "red", shape, "center")).sum()
    assert covered == pytest.approx(AREA[shape] * RADIUS["large"] ** 2, rel=0.04)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_distance_is_negative_inside_and_grows_outwards(shape):
    x = np.array([0.0, 40.0, 50.0], np.float32)
    inside, near, far = distance(shape, x, np.zeros(3, np.float32), 7.0)
    assert inside < 0 < near < far


def test_a_shift_by_whole_pixels_moves_the_mask():
    thing = Thing("small", "red", "triangle", "center")
    moved = mask(thing, Jitter(dx=3, dy=-2))
    assert np.allclose(moved, np.roll(mask(thing), (-2, 3), (0, 1)), atol=1e-6)


def test_things_are_where_the_caption_says():
    cover = mask(Thing("large", "red", "circle", "left"))
    assert cover[:, : SIDE // 2].sum() > 0.99 * cover.sum()
    cover = mask(Thing("small", "red", "cross", "top"))
    assert cover[: SIDE // 2].sum() > 0.99 * cover.sum()


def test_a_render_has_the_colours_it_names_and_soft_edges():
    scene = Scene((Thing("large", "blue", "circle", "center"),), "white")
    image = render(scene, np.random.default_rng(0))
    assert image.shape == (SIDE, SIDE, 3)
    assert image.dtype == np.float32
    assert np.abs(image[16, 16] - COLOUR["blue"]).max() < 0.15
    assert np.abs(image[0, 0] - COLOUR["white"]).max() < 0.15
    assert len(np.unique(to_bytes(image).reshape(-1, 3), axis=0)) > 4  # two colours alone would be jagged


def test_rendering_depends_on_its_generator_alone():
    scene = draw("test", 1, 0)[0]
    first, again, other = (render(scene, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_to_bytes_rounds_and_clips():
    assert to_bytes(np.array([-1.0, 0.0, 0.5, 1.0, 2.0], np.float32)).tolist() == [0, 0, 128, 255, 255]
