"""Q = ψ_w (1 − ψ_l)."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.rank.quality import quality


def test_by_hand() -> None:
    """0.9·(1 − 0.2) = 0.72, ½·½ = 0.25, 1·(1 − 0) = 1, anything·(1 − 1) = 0."""
    assert quality([0.9, 0.5, 1.0, 0.7], [0.2, 0.5, 0.0, 1.0]) == pytest.approx([0.72, 0.25, 1.0, 0.0])


def test_asks_for_a_good_winner_not_only_for_a_margin() -> None:
    """Three pairs with the margin 0.4: Q = 0.9·0.5 = 0.5·0.9 = 0.45, but 0.4·1 = 0.4 and 1·0.4 = 0.4."""
    q = quality([0.9, 0.5, 0.4, 1.0], [0.5, 0.1, 0.0, 0.6])
    assert q == pytest.approx([0.45, 0.45, 0.40, 0.40])


def test_partial_derivatives_have_the_right_signs() -> None:
    """∂Q/∂ψ_w = 1 − ψ_l and ∂Q/∂ψ_l = −ψ_w; Q is bilinear, so finite differences are exact."""
    w, l, h = 0.27, 0.31, 0.01  # noqa: E741
    base, up_w, up_l = quality(np.array([w, w + h, w]), np.array([l, l, l + h]))
    assert (up_w - base) / h == pytest.approx(1 - l)
    assert (up_l - base) / h == pytest.approx(-w)


def test_is_computed_in_float64() -> None:
    """Near 1 float32 would make ties: 1 − 2⁻³⁰ is 1 there."""
    assert quality(np.array([1.0]), np.array([2.0**-30]))[0] == 1 - 2.0**-30
