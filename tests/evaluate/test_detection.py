"""ROC and AUROC: numbers by hand, ties, invariances."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.evaluate.detection import auroc, roc_curve


def test_auroc_by_hand() -> None:
    """Positives 3, 1; negatives 2, 0: of the four comparisons 3>2, 3>0, 1>0 are right, 1>2 is not."""
    assert auroc([1, 1, 0, 0], [3, 1, 2, 0]) == 0.75


def test_ties_count_a_half() -> None:
    """Positives 1, 1; negatives 1, 0: two ties and two wins, (2·½ + 2)/4."""
    assert auroc([1, 1, 0, 0], [1, 1, 1, 0]) == 0.75
    assert auroc([1, 0, 1, 0], [7, 7, 7, 7]) == 0.5


def test_roc_by_hand() -> None:
    false_rate, true_rate = roc_curve([1, 1, 0, 0], [3, 1, 2, 0])
    np.testing.assert_array_equal(false_rate, [0, 0, 0.5, 0.5, 1])
    np.testing.assert_array_equal(true_rate, [0, 0.5, 0.5, 1, 1])


def test_area_under_the_curve_is_auroc() -> None:
    generator = np.random.default_rng(0)
    labels = generator.random(200) < 0.3
    scores = np.round(generator.normal(size=200) + labels, 1)
    false_rate, true_rate = roc_curve(labels, scores)
    assert len(false_rate) == len(np.unique(scores)) + 1
    assert np.trapezoid(true_rate, false_rate) == pytest.approx(auroc(labels, scores))


def test_invariances() -> None:
    """Monotone maps change nothing; negation gives the complement."""
    generator = np.random.default_rng(1)
    labels, scores = generator.random(100) < 0.5, generator.normal(size=100)
    assert auroc(labels, np.exp(scores)) == auroc(labels, scores)
    assert auroc(labels, -scores) == pytest.approx(1 - auroc(labels, scores))
    assert auroc(~labels, scores) == pytest.approx(1 - auroc(labels, scores))


def test_one_class_or_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="positives and negatives"):
        auroc([1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="finite"):
        auroc([1, 0], [0.1, np.nan])
