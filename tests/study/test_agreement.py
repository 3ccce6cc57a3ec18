"""Published tables, numbers by hand, and what must not change an agreement."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tastemaker.study.agreement import Agreement, agreement, alpha, commonest, fleiss, ordinal, raw
from tastemaker.study.resample import Bootstrap
from tastemaker.study.vote import Answer, Image, Item, Vote

FEW = Bootstrap(resamples=200)
KRIPPENDORFF = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
"""Four observers, twelve units, answers missing (Computing Krippendorff's Alpha-Reliability, 2011, section C)."""
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ],
    float,
)  # fmt: skip
"""Fourteen raters, ten units, five values: the table worked out in the encyclopedias' article on Fleiss' kappa."""


def counted(raters: tuple[str, ...]) -> NDArray[np.float64]:
    units = zip(*(row.split() for row in raters), strict=True)
    return np.array([[unit.count(value) for value in "12345"] for unit in units], float)


def alpha_of(count_uc: NDArray[np.float64], squares: object = None) -> float:
    more = (ordinal,) if squares else ()
    return alpha(range(len(count_uc)), count_uc, *more, bootstrap=FEW).value


def test_krippendorffs_own_table() -> None:
    """He gives nominal 0.743 and ordinal 0.815."""
    assert alpha_of(counted(KRIPPENDORFF)) == pytest.approx(0.743, abs=5e-4)
    assert alpha_of(counted(KRIPPENDORFF), ordinal) == pytest.approx(0.815, abs=5e-4)


def test_the_table_of_three_coders() -> None:
    """Three coders, 15 units, many missing: nominal 0.691 (the encyclopedia's worked example)."""
    table = (
        ". . . . . 3 4 1 2 1 1 3 3 . 3",
        "1 . 2 1 3 3 4 3 . . . . . . .",
        ". . 2 1 3 4 4 . 2 1 1 3 3 . 4",
    )
    assert alpha_of(counted(table)) == pytest.approx(0.691, abs=5e-4)


def test_nominal_alpha_by_hand() -> None:
    """Units aa, ab, bb, bb: o_ab + o_ba = 2, n = 3, 5, so α = 1 − 7·2/(2·3·5) = 8/15; one answer says nothing."""
    counts = np.array([[2, 0], [1, 1], [0, 2], [0, 2]], float)
    assert alpha_of(counts) == pytest.approx(8 / 15)
    assert alpha_of(np.vstack([counts, [[1, 0], [0, 1], [0, 0]]])) == pytest.approx(8 / 15)


def test_ordinal_alpha_by_hand() -> None:
    """Units 00, 12, 22: n = 2, 1, 3; δ²(01, 02, 12) = 2.25, 12.25, 4; α = 1 − 5·8/(2·(4.5 + 73.5 + 12)) = 7/9."""
    assert alpha_of(np.array([[2, 0, 0], [0, 1, 1], [0, 0, 2]], float), ordinal) == pytest.approx(7 / 9)


def test_alpha_with_three_raters_by_hand() -> None:
    """Units aab and bbb: o_ab = o_ba = 2·1/2 = 1, n_a = 2, n_b = 4, so α = 1 − 5·2/(2·2·4) = 3/8."""
    assert alpha_of(np.array([[2, 1], [0, 3]], float)) == pytest.approx(3 / 8)


def test_fleiss_table() -> None:
    """P̄ = 0.378, P_e = 0.213, κ = 0.210."""
    assert fleiss(range(10), FLEISS, FEW).value == pytest.approx(0.210, abs=5e-4)
    assert raw(range(10), FLEISS, FEW).value == pytest.approx(0.378, abs=5e-4)


def test_fleiss_by_hand() -> None:
    """Units aab, bbb: P̄ = (1/3 + 1)/2 = 2/3, P_e = (1/3)² + (2/3)² = 5/9, κ = (1/9)/(4/9) = 1/4."""
    assert fleiss([0, 1], np.array([[2, 1], [0, 3]], float), FEW).value == pytest.approx(1 / 4)


def test_fleiss_needs_equal_numbers() -> None:
    with pytest.raises(ValueError, match="same number of raters"):
        fleiss([0, 1], np.array([[2, 1], [0, 2]], float), FEW)


def test_raw_agreement_by_hand() -> None:
    """Three against two: 3·2 + 2·1 = 8 of 5·4 = 20 ordered pairs; with two more who agree 10 of 22."""
    assert raw([0], np.array([[3, 2]], float), FEW).value == pytest.approx(8 / 20)
    assert raw([0, 1], np.array([[3, 2], [2, 0]], float), FEW).value == pytest.approx(10 / 22)


def test_nothing_varies_or_nobody_meets() -> None:
    same, alone = np.array([[2, 0], [3, 0]], float), np.array([[1, 0], [0, 1]], float)
    assert math.isnan(alpha_of(same))
    assert raw([0, 1], same, FEW).value == 1
    for counts in (alone, np.zeros((0, 0))):
        assert math.isnan(alpha_of(counts))
        assert math.isnan(raw(range(len(counts)), counts, FEW).value)
        assert commonest(counts)[0] == 0


def test_the_commonest_number_of_raters() -> None:
    """Two units with 3 and two with 2: of equals the larger; a lone answer is no number of raters."""
    raters, usual = commonest(np.array([[2, 1], [1, 1], [2, 0], [0, 3], [1, 0], [0, 1], [1, 0]], float))
    assert (raters, usual.tolist()) == (3, [True, False, False, True, False, False, False])


def test_intervals_resample_items_not_units() -> None:
    """All units of one item: every resample is the same, the interval a point. Apart they vary."""
    counts = np.array([[2, 0], [1, 1], [0, 2], [0, 2]], float)
    together = alpha([0, 0, 0, 0], counts, bootstrap=FEW)
    assert (together.low, together.high) == pytest.approx((8 / 15, 8 / 15))
    apart = alpha([0, 1, 2, 3], counts, bootstrap=FEW)
    assert apart.low < apart.value < apart.high


def test_order_and_names_do_not_matter() -> None:
    turned = counted(KRIPPENDORFF)[::-1, ::-1]
    assert alpha_of(turned) == pytest.approx(alpha_of(counted(KRIPPENDORFF)))
    assert alpha_of(turned, ordinal) == pytest.approx(alpha_of(counted(KRIPPENDORFF), ordinal))


def of(kind: str, images: int, answers: dict[int, list[Answer]], flags: tuple[str, ...] = ()) -> Agreement:
    pictures = tuple(Image(f"s{i}") for i in range(images))
    items = {number: Item(id=number, kind=kind, prompt=f"p{number}", images=pictures) for number in answers}  # type: ignore[arg-type]
    votes = [Vote(f"r{r}", item, "q", answer, 1, 1) for item, row in answers.items() for r, answer in enumerate(row)]
    return agreement(items, votes, flags, FEW)


def test_pairs_through_and_through() -> None:
    """Units 00t, 11: raw (2 + 2)/(6 + 2) = ½; κ over units with two or three raters, of equals the larger number."""
    found = of("pair", 2, {0: [0, 0, "tie"], 1: [1, 1], 2: [0]})
    assert found.raw.value == pytest.approx(1 / 2)
    assert (found.units, found.fleiss_units, found.fleiss_raters, found.ordinal) == (2, 1, 3, None)


def test_rankings_agree_pair_by_pair_and_rank_by_rank() -> None:
    """Two of three pairs are alike; ranks 00, 12, 21: n = 2 each, δ² = 4, 16, 4; α = 1 − 5·16/(2·(16 + 64 + 16))."""
    found = of("rank", 3, {0: [(0, 1, 2), (0, 2, 1)]})
    assert found.raw.value == pytest.approx(2 / 3)
    assert found.ordinal is not None
    assert found.ordinal.value == pytest.approx(1 - 5 * 16 / 192)


def test_flags_agree_image_by_image() -> None:
    """Two images, two flags, four units; the raters differ on one."""
    found = of("flag", 2, {0: [((0, "x"),), ((0, "x"), (1, "y"))]}, ("x", "y"))
    assert (found.units, found.raw.value) == (4, pytest.approx(3 / 4))
