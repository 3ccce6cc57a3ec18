"""Inception Score: bounds, numbers by hand, the published formula, pitfalls of others' versions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tastemaker.base.errors import UserError
from tastemaker.evaluate.inception import imagenet_prompts, inception_score


def one_hot(classes: list[int], count: int, sure: float = 50.0) -> np.ndarray:
    logits = np.zeros((len(classes), count))
    logits[range(len(classes)), classes] = sure
    return logits


def test_the_bounds() -> None:
    """Sure and evenly spread over 5 classes: 5. Always the same class, or never sure: 1."""
    assert inception_score(one_hot(list(range(5)) * 4, 5), 1).score == pytest.approx(5)
    assert inception_score(one_hot([3] * 20, 5), 1).score == pytest.approx(1)
    assert inception_score(np.zeros((20, 5)), 4).score == pytest.approx(1)


def test_two_images_by_hand() -> None:
    """p = (¾, ¼) and (¼, ¾), mean (½, ½): KL of each is ¾ ln 1.5 + ¼ ln 0.5."""
    logits = np.log([[0.75, 0.25], [0.25, 0.75]]) + 3
    expected = math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    found = inception_score(logits, 1)
    assert found.score == pytest.approx(expected)
    assert (found.std, found.images, found.splits) == (0, 2, 1)


def test_the_published_formula() -> None:
    """exp(H(mean p) − mean H(p)), entropies, in plain probabilities."""
    logits = np.random.default_rng(0).normal(0, 2, (64, 7))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    entropy = -(p.mean(0) * np.log(p.mean(0))).sum() + (p * np.log(p)).sum(1).mean()
    assert inception_score(logits, 1).score == pytest.approx(np.exp(entropy))


def test_underflow_does_no_harm() -> None:
    """Logits 2000 apart: in float32 the other probabilities are 0, and 0 · log 0 is not a number."""
    assert inception_score(one_hot([0, 1] * 10, 3, sure=2000.0), 2).score == pytest.approx(2, rel=0.05)


def test_std_is_the_population_s_over_splits() -> None:
    """Two splits of one image score 1 each: std 0, where n − 1 would also do; of unequal ones √mean square."""
    logits = np.random.default_rng(1).normal(0, 3, (40, 6))
    whole = inception_score(logits, 4, seed=5)
    parts = np.array_split(logits[permutation(40, 5)], 4)
    scores = [inception_score(part, 1).score for part in parts]
    assert whole.score == pytest.approx(np.mean(scores))
    assert whole.std == pytest.approx(math.sqrt(np.mean((np.array(scores) - np.mean(scores)) ** 2)))


def permutation(count: int, seed: int) -> np.ndarray:
    from tastemaker.base import draw

    return draw.numbers(seed, "inception", count).permutation(count)


def test_images_in_the_order_of_their_classes_are_shuffled() -> None:
    """Ten splits of 100 images sorted by class: without a shuffle each would hold one class and score 1."""
    logits = one_hot([image // 10 for image in range(100)], 10)
    assert inception_score(logits, 10).score > 5


def test_seeded_and_without_the_global_generator() -> None:
    logits = np.random.default_rng(2).normal(0, 3, (30, 4))
    np.random.seed(0)
    first = inception_score(logits, 5)
    np.random.seed(1)
    assert inception_score(logits, 5) == first
    assert inception_score(logits, 5, seed=1) != first
    assert inception_score(logits, 1, seed=1).score == pytest.approx(inception_score(logits, 1).score)


def test_adding_a_number_to_a_row_changes_nothing() -> None:
    logits = np.random.default_rng(3).normal(size=(12, 4))
    shifted = logits + np.arange(12)[:, None]
    assert inception_score(shifted, 3).score == pytest.approx(inception_score(logits, 3).score)


def test_bad_input_is_refused() -> None:
    for logits, splits in ((np.zeros((3, 2)), 4), (np.zeros((3, 2)), 0)):
        with pytest.raises(ValueError, match="splits of 3 images"):
            inception_score(logits, splits)
    for logits in (np.full((3, 2), np.nan), np.zeros(3)):
        with pytest.raises(ValueError, match="finite, one row an image"):
            inception_score(logits, 1)


def test_imagenet_prompts() -> None:
    names = ["tench", "crane", "crane", "maillot", "maillot"]
    assert imagenet_prompts(names) == [
        "A photo of tench",
        "A photo of bird crane",
        "A photo of machine crane",
        "A photo of maillot swimsuit",
        "A photo of maillot tanksuit",
    ]
    assert imagenet_prompts(["crane", "dog"]) == ["A photo of crane", "A photo of dog"]
    for twice in (["dog", "dog"], ["crane"] * 3):
        with pytest.raises(UserError, match=r"stands there . times; give each class its own name"):
            imagenet_prompts(twice)
