"""Calibration: numbers by hand, published maps, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tastemaker.base.errors import UserError
from tastemaker.rank.calibrate import Identity, Range, Standardise, as_json, fit

NONE = np.array([])


def test_identity_clips_to_the_unit_interval() -> None:
    raw = np.array([-0.2, 0.0, 0.27, 1.0, 1.5])
    assert fit("identity", NONE)(raw).tolist() == [0.0, 0.0, 0.27, 1.0, 1.0]
    assert Identity().clipped(raw) == 2  # −0.2 and 1.5; the edges themselves are inside


def test_laion_aesthetics_are_divided_by_ten() -> None:
    assert fit("range:0,10", NONE)(np.array([5.5, 11.0, -1.0])).tolist() == [0.55, 1.0, 0.0]


def test_image_reward_is_clipped_at_three_and_moved_to_the_unit_interval() -> None:
    """(clip(r, −3, 3) + 3) / 6: −3 → 0, 0 → ½, 1.5 → 0.75, 4 → 1."""
    calibration = fit("range:-3,3", NONE)
    assert calibration == Range(-3.0, 3.0)
    assert calibration(np.array([-3.0, 0.0, 1.5, 4.0])).tolist() == [0.0, 0.5, 0.75, 1.0]
    assert calibration.clipped(np.array([-3.0, 3.0, 3.1, -9.0])) == 2


def test_standardise_by_hand() -> None:
    """2, 4, 4, 4, 5, 5, 7, 9 have mean 5 and population standard deviation 2; 9 is z = 2, ψ = (2 + 3)/6."""
    raw = np.array([2, 4, 4, 4, 5, 5, 7, 9], np.float32)
    calibration = fit("standardise", raw)
    assert calibration == Standardise(mean=5.0, std=2.0, clip=3.0)
    assert calibration(np.array([9.0, 5.0, 2.0, 11.5, -4.0])) == pytest.approx([5 / 6, 1 / 2, 1 / 4, 1.0, 0.0])
    assert calibration.clipped(np.array([11.0, 11.5, -1.0, -4.0])) == 2  # z = 3 and −3 are inside


def test_standardise_with_another_clip() -> None:
    calibration = fit("standardise:2", np.array([-1.0, 1.0]))
    assert calibration(np.array([1.0, 2.0, 5.0])) == pytest.approx([0.75, 1.0, 1.0])


def test_standardised_scores_do_not_notice_a_change_of_unit() -> None:
    raw = np.random.default_rng(0).normal(size=200)
    moved = 100 * raw + 7
    assert fit("standardise", moved)(moved) == pytest.approx(fit("standardise", raw)(raw), abs=1e-12)


@pytest.mark.parametrize("text", ["identity", "range:0,10", "standardise"])
def test_keeps_the_order_and_nan(text: str) -> None:
    raw = np.array([0.1, 0.2, 0.9, np.nan])
    psi = fit(text, raw[:3])(raw)
    assert psi.dtype == np.float64
    assert np.all(np.diff(psi[:3]) > 0)
    assert math.isnan(psi[3])


@pytest.mark.parametrize(
    "text",
    ["", "identiti", "identity:1", "range", "range:1", "range:3,-3", "range:0,x", "range:0,inf", "standardise:0"],
)
def test_refuses_what_it_does_not_understand(text: str) -> None:
    with pytest.raises(UserError, match="identity, range:LOW,HIGH, standardise"):
        fit(text, np.array([0.0, 1.0]))


def test_equal_scores_cannot_be_standardised() -> None:
    with pytest.raises(UserError, match="all scores are equal"):
        fit("standardise", np.full(10, 0.3, np.float32))


def test_metadata_says_kind_and_numbers() -> None:
    assert as_json(Identity()) == {"kind": "identity"}
    assert as_json(Standardise(1.0, 2.0)) == {"kind": "standardise", "mean": 1.0, "std": 2.0, "clip": 3.0}
