import numpy as np
import pytest

from tastemaker.base.draw import numbers
from tastemaker.world.captions import Scene, Thing, draw, reshaped, variants
from tastemaker.world.measure import utility_table
from tastemaker.world.render import COLOUR, SIDE, mask, render
from tastemaker.world.utility import FIT_SHARE, SHARPNESS, Judge, closeness, utilities, verdicts

SCENE = Scene((Thing("large", "red", "square", "center"),), "white")


def flat(colour: str) -> np.ndarray:
    return np.broadcast_to(np.asarray(COLOUR[colour], np.float32), (SIDE, SIDE, 3)).copy()


def test_closeness_is_the_formula():
    image = flat("red")
    image[0, 0, 0] -= 0.2  # d = 0.2: exp(−0.2²/2s²)
    near = closeness(image, "red")
    assert near[0] == pytest.approx(np.exp(-(0.2**2) / (2 * SHARPNESS**2)), rel=1e-4)
    assert np.all(near[1:] == 1)


def test_a_perfect_picture_without_jitter_is_worth_nearly_one():
    cover = mask(SCENE.things[0])[..., None]
    image = (1 - cover) * flat("white") + cover * flat("red")
    assert Judge(image.astype(np.float32)).utility(SCENE) > 0.9  # soft edges cost the rest


def test_an_empty_background_is_worth_its_share():
    # no red anywhere: fit 0; background right everywhere: ground 1
    assert Judge(flat("white")).utility(SCENE) == pytest.approx(1 - FIT_SHARE, abs=0.01)
    assert not Judge(flat("white")).correct(SCENE)


def test_one_wrong_attribute_costs_and_is_never_correct():
    for index, scene in enumerate(draw("tune", 30, 0)):
        image = render(scene, numbers(0, "test", index))
        assert Judge(image).correct(scene)
        for group in variants(scene):
            wrong = render(group[0], numbers(0, "wrong", index))
            assert Judge(wrong).utility(group[0]) > Judge(wrong).utility(scene)
            assert not Judge(wrong).correct(scene)


def test_documented_values():
    """The table of docs/world.md."""
    table = utility_table(count=60)
    assert table["true render"]["utility"] == pytest.approx(0.83, abs=0.02)
    assert table["true render"]["correct"] > 0.96
    assert table["another caption's render"]["utility"] < 0.15
    order = ["wrong shape", "wrong size", "wrong colour", "wrong place"]
    values = [table[name]["utility"] for name in order]
    assert values == sorted(values, reverse=True)
    assert all(table[name]["correct"] == 0 for name in table if name.startswith("wrong"))


def test_the_batch_functions_agree_with_the_judge():
    scenes = draw("tune", 4, 1)
    images = [render(scene, numbers(1, index)) for index, scene in enumerate(scenes)]
    assert utilities(images, scenes).tolist() == pytest.approx(
        [Judge(i).utility(s) for i, s in zip(images, scenes, strict=True)]
    )
    assert verdicts(images, scenes).dtype == np.float32


def test_a_wrong_shape_is_flagged_and_a_wrong_background_is_not():
    right = wrong = other = 0
    for number, scene in enumerate(draw("test", 40, 0)):
        random = numbers(2, number)
        right += Judge(render(scene, random)).shaped(scene)
        wrong += Judge(render(reshaped(scene)[0], random)).shaped(scene)
        other += Judge(render(variants(scene)[-1][0], random)).shaped(scene)
    assert right >= 39
    assert wrong <= 1
    assert other >= 36
