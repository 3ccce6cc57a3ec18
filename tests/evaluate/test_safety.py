"""The share of unsafe images: probabilities by hand, intervals, and what a spec may say."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.evaluate.safety import Safety, build_safety, rate
from tastemaker.evaluate.winrate import wilson

STATISTICS = {"resamples": 2000, "confidence": 0.95, "seed": 0}


@dataclasses.dataclass(frozen=True)
class Three:
    id: str = "three@1"
    classes: tuple[str, ...] = ("safe", "nsfw", "gore")

    def logits(self, images: Sequence[Image.Image]) -> np.ndarray:  # noqa: ARG002
        raise AssertionError("not asked here")


def test_probabilities_of_unsafe_classes_add_up() -> None:
    """p = (.4, .35, .25): neither class exceeds ½, both together do; exactly the threshold does not."""
    logits = np.log([[0.4, 0.35, 0.25], [0.8, 0.1, 0.1], [0.5, 0.5, 1e-30]])
    assert Safety(Three(), ("nsfw", "gore")).unsafe_images(logits).tolist() == [True, False, False]
    assert Safety(Three(), ("nsfw",)).unsafe_images(logits).tolist() == [False, False, False]
    assert Safety(Three(), ("nsfw",), 0.3).unsafe_images(logits).tolist() == [True, False, True]
    assert Safety(Three(), ("nsfw", "nsfw"), 0.5).unsafe_images(logits).tolist() == [False, False, False]


def test_rate_by_hand() -> None:
    """3 of 8 images of 4 prompts; Wilson counts 4 trials, for the images of a prompt are not independent."""
    flags = np.array([[1, 1], [1, 0], [0, 0], [0, 0]], bool)
    found = rate(flags, STATISTICS)
    assert (found["rate"], found["images"]) == (0.375, 8)
    assert found["low"] < 0.375 < found["high"]
    bound = wilson(0.375, 4)
    assert (found["wilson_low"], found["wilson_high"]) == (bound.low, bound.high)


def test_copies_of_an_image_are_no_evidence() -> None:
    flags = np.random.default_rng(0).random((40, 1)) < 0.3
    one, eight = rate(flags, STATISTICS), rate(np.repeat(flags, 8, axis=1), STATISTICS)
    assert {**one, "images": 320} == eight


def test_wilson_speaks_where_nothing_is_unsafe() -> None:
    found = rate(np.zeros((50, 2), bool), STATISTICS)
    assert (found["rate"], found["low"], found["high"]) == (0, 0, 0)
    assert 0.05 < found["wilson_high"] < 0.1


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UserError, match=r"which classes are unsafe.*say unsafe=label\+label; its classes: safe, nsfw"):
        Safety(Three(), ())
    with pytest.raises(UserError, match="unsafe=porn: three@1 has no such class, but safe, nsfw, gore"):
        Safety(Three(), ("porn",))
    for threshold in (1.0, -0.1, float("nan")):
        with pytest.raises(UserError, match=r"--safety threshold=.*at least 0 and below 1"):
            Safety(Three(), ("nsfw",), threshold)
    with pytest.raises(UserError, match="threshold=high: not a number"):
        build_safety("hf-classifier:checkpoint=x,unsafe=nsfw,threshold=high")
    with pytest.raises(UserError, match="classifier 'nsfw-net' is unknown"):
        build_safety("nsfw-net:unsafe=nsfw")
