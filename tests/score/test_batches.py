"""One bad row costs that row alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.score.batches import Problem, score_batch, score_rows


@dataclass
class Fake:
    """Scores an image by its red value; ``spoil`` may change or refuse the answer."""

    spoil: Callable[[list[int], np.ndarray], np.ndarray] = lambda _, raw: raw
    id: str = "fake@1"
    calibration: str = "identity"
    uses_prompt: bool = True
    sizes: list[int] = field(default_factory=list)

    def score(self, prompts: Sequence[str], images: Sequence[Image.Image]) -> np.ndarray:
        assert len(prompts) == len(images)
        self.sizes.append(len(images))
        reds = [image.getpixel((0, 0))[0] for image in images]
        return self.spoil(reds, np.array(reds, np.float32))


def images(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (2, 2), (red, 0, 0)) for red in range(count)]


def rows_of(fake: Fake, prompts: list[str], pictures: list[Image.Image]) -> tuple[np.ndarray, dict[int, Problem]]:
    return score_rows(lambda part: fake.score(prompts[: len(part)], part), pictures)


def raises_on(*bad: int) -> Callable:
    def spoil(reds: list[int], raw: np.ndarray) -> np.ndarray:
        if set(bad) & set(reds):
            raise RuntimeError("a red rag")
        return raw

    return spoil


def replaces(bad: int, value: float) -> Callable:
    return lambda reds, raw: np.where(np.array(reds) == bad, np.float32(value), raw)


def test_a_clean_batch_is_one_call() -> None:
    fake = Fake()
    raw, problems = rows_of(fake, ["p"] * 5, images(5))
    assert raw.tolist() == [0, 1, 2, 3, 4]
    assert raw.dtype == np.float32
    assert problems == {}
    assert fake.sizes == [5]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (raises_on(5), "scorer_raised"),
        (replaces(5, np.nan), "scorer_not_finite"),
        (replaces(5, np.inf), "scorer_not_finite"),
        (replaces(5, 1e300), "scorer_not_finite"),  # beyond float32
        (lambda reds, raw: raw[:-1] if 5 in reds else raw, "scorer_wrong_shape"),
        (lambda reds, raw: raw[:, None] if 5 in reds else raw, "scorer_wrong_shape"),
        (lambda reds, raw: raw.sum() if 5 in reds else raw, "scorer_wrong_shape"),
        (lambda reds, raw: None if 5 in reds else raw, "scorer_wrong_shape"),
    ],
)
def test_the_bad_row_is_found_and_the_others_are_scored(spoil: Callable, reason: str) -> None:
    with np.errstate(over="ignore"):
        raw, problems = rows_of(Fake(spoil), ["p"] * 8, images(8))
    assert {row: problem.reason for row, problem in problems.items()} == {5: reason}
    assert np.isnan(raw[5])
    assert np.delete(raw, 5).tolist() == [0, 1, 2, 3, 4, 6, 7]


def test_isolating_one_row_of_64_takes_two_calls_a_halving() -> None:
    fake = Fake(raises_on(17))
    _, problems = rows_of(fake, ["p"] * 64, images(64))
    assert list(problems) == [17]
    assert len(fake.sizes) == 1 + 2 * 6


def test_several_bad_rows() -> None:
    raw, problems = rows_of(Fake(raises_on(0, 3, 6)), ["p"] * 7, images(7))
    assert sorted(problems) == [0, 3, 6]
    assert np.isnan(raw).tolist() == [True, False, False, True, False, False, True]
    assert problems[3].detail == "RuntimeError: a red rag"


def test_a_user_error_is_about_the_scorer_and_passes_through() -> None:
    def spoil(reds: list[int], raw: np.ndarray) -> np.ndarray:
        raise UserError("weights.bin: no such file")

    with pytest.raises(UserError, match=r"weights\.bin"):
        rows_of(Fake(spoil), ["p"] * 4, images(4))


def test_ctrl_c_is_not_taken_for_a_bad_row() -> None:
    def spoil(reds: list[int], raw: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows_of(Fake(spoil), ["p"] * 4, images(4))


def test_score_batch_keeps_the_order_whatever_the_batch_size() -> None:
    for size in (1, 3, 7, 64):
        fake = Fake()
        assert score_batch(fake, ["p"] * 7, images(7), size).tolist() == list(range(7))
        assert max(fake.sizes) <= size


def test_score_batch_names_the_row_that_fails() -> None:
    with pytest.raises(UserError, match=r"fake@1: image 5 cannot be scored: scorer_raised \(RuntimeError: a red rag\)"):
        score_batch(Fake(raises_on(5, 6)), ["p"] * 8, images(8), batch_size=3)
