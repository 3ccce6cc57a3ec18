import numpy as np
import pytest

from tastemaker.base.errors import UserError
from tastemaker.world.captions import Scene, Thing, caption, draw, mistake, parse, scenes, split, split_of, variants
from tastemaker.world.measure import wrong_attribute

ONE = Scene((Thing("small", "red", "circle", "center"),), "white")
TWO = Scene((Thing("small", "blue", "square", "left"), Thing("large", "red", "circle", "right")), "gray")


def test_caption_reads_as_english():
    assert caption(ONE) == "a small red circle in the center, white background"
    assert caption(TWO) == "a small blue square on the left and a large red circle on the right, gray background"


def test_parse_is_the_inverse_of_caption_for_every_scene():
    everything = list(scenes())
    assert len(everything) == 960 + 2 * 48 * 40 * 4
    assert all(parse(caption(scene)) == scene for scene in everything)
    assert len(set(map(caption, everything))) == len(everything)


@pytest.mark.parametrize(
    "text", ["", "a red circle", caption(ONE) + " ", caption(ONE).upper(), "a dog, white background"]
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(UserError, match="no caption of the small world; an example"):
        parse(text)


def test_splits_share_nothing_and_leave_nothing_out():
    parts = {name: set(sum(split(name), ())) for name in ("train", "tune", "test")}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == len(list(scenes()))
    assert all(split_of(scene) == name for name, part in parts.items() for scene in list(part)[:20])


def test_draw_gives_different_captions_half_of_them_with_one_thing():
    drawn = draw("test", 300, seed=1)
    assert len(set(drawn)) == 300
    assert sum(len(scene.things) == 1 for scene in drawn) == 150
    assert draw("test", 300, seed=1) == drawn != draw("test", 300, seed=2)
    with pytest.raises(UserError, match="the tune split"):
        draw("tune", 10_000, seed=0)


def test_variants_differ_in_exactly_one_attribute():
    # one thing: 1 other size, 5 colours, 3 shapes, 4 places, 3 backgrounds
    assert [len(group) for group in variants(ONE)] == [1, 5, 3, 4, 3]
    # two things: size, colour (not the other's), shape for each; places exchanged; background
    assert [len(group) for group in variants(TWO)] == [1, 4, 3, 1, 4, 3, 1, 3]
    for scene in (ONE, TWO):
        names = [{wrong_attribute(scene, other) for other in group} for group in variants(scene)]
        assert all(len(name) == 1 for name in names)
        assert all(other in set(scenes()) or len(scene.things) == 2 for group in variants(scene) for other in group)


def test_mistake_draws_every_attribute():
    random = np.random.default_rng(0)
    seen = [wrong_attribute(ONE, mistake(ONE, random)) for _ in range(500)]
    counts = {name: seen.count(name) for name in ("size", "colour", "shape", "place", "background")}
    assert min(counts.values()) > 70, counts
