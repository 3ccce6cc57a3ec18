"""Majorities of studies and their rates: seeds and prompts are drawn, never pairs."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest

from support.studied import items, votes
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.results import crossed
from tastemaker.reproduce.study_majorities import (
    DPO,
    NONE,
    QSD,
    TIE,
    Answers,
    Majority,
    answers,
    majorities,
    p_half,
    preferred,
)
from tastemaker.study.vote import Vote

ONE = {"preference": (5, 4, 3, 2), "appeal": (5, 5, 5, 5)}
TWO = {"preference": (0, 0, 3, 2), "appeal": (5, 5, 5, 5)}
T4 = 2.7764451
"""Student's t of 4 degrees of freedom at 97.5 %."""


def said(item, answers, first=0):
    """Votes of as many people on a question."""
    return [Vote(f"person {first + number}", item, "appeal", said, 4.0, 0.0) for number, said in enumerate(answers)]


def test_outcomes_by_hand():
    """Three of five; three ties; two, two and a tie; two of four, which waits; three of three; a vote taken back."""
    some = [
        *said(0, [0, 0, 0, 1, 1]),
        *said(1, ["tie", "tie", "tie", 0, 1]),
        *said(2, [0, 0, 1, 1, "tie"]),
        *said(3, [0, 0, 1, 1]),
        *said(4, [0, 0, 0]),
        *said(5, [1, 1, 1, 0]),
        Vote("person 0", 5, "appeal", None, 4.0, 1.0, revision=1),
    ]
    found = {each.prompt: each.outcome for each in majorities("appeal", items(6), some)}
    assert found == {"prompt 0": QSD, "prompt 1": TIE, "prompt 2": NONE, "prompt 4": QSD}


def test_the_side_of_qsd_is_found_by_its_name():
    """In every other item its image stands second: 5, 4 and 3 of five voted for it, then 2."""
    found = majorities("preference", items(), votes(0, ONE))
    assert [each.outcome for each in found] == [QSD, QSD, QSD, DPO]
    assert majorities("alignment", items(), votes(0, ONE)) == []


def test_a_study_a_row_and_a_prompt_a_column():
    found = answers("preference", [(items(), votes(0, ONE)), (items()[::-1], votes(1, TWO))])
    np.testing.assert_array_equal(found.worth(), [[1, 1, 1, 0], [0, 0, 1, 0]])
    np.testing.assert_array_equal(found.worth("one"), [[1, 1], [0, 0]])
    assert found.of_each == [0.75, 0.25]
    assert found.counts == {QSD: 4, TIE: 0, DPO: 4, NONE: 0}
    assert found.decided == 0.5
    assert found.categories == ["one", "two"]


def test_only_what_all_studies_asked_counts_and_a_prompt_twice_counts_once():
    one = (Majority("a", "", QSD), Majority("a", "", DPO), Majority("b", "", NONE), Majority("c", "", QSD))
    two = (Majority("b", "", DPO), Majority("a", "", TIE))
    found = Answers("appeal", (one, two))
    np.testing.assert_array_equal(found.worth(), [[0.5, 0.5], [0.5, 0.0]])
    assert Answers("appeal", (one, ())).worth().size == 0
    assert math.isnan(Answers("appeal", ((Majority("a", "", TIE),),)).decided)


def test_studies_of_the_same_prompts_are_no_more_prompts():
    """60 of 100 prompts in each of five studies: variance of prompts 0.24 · 100/99, none of seeds.

    As 500 independent pairs the rate would lie above ½ (0.6 ± 0.043); as 100 prompts it does not: 0.6 ± t₄ · 0.0492.
    """
    worth = np.tile(np.repeat([1.0, 0.0], [60, 40]), (5, 1))
    found = preferred(worth)
    half = T4 * math.sqrt(0.24 / 99)
    assert astuple(found) == pytest.approx((0.6, 0.6 - half, 0.6 + half), abs=1e-6)
    assert found.low < 0.5
    assert found == crossed(worth)


def test_seeds_that_differ_widen_it():
    """Five studies of 100 prompts, all for QSD in four of them, none in the fifth: seeds' variance 0.2, prompts' 0."""
    worth = np.repeat([1.0, 1.0, 1.0, 1.0, 0.0], 100).reshape(5, 100)
    half = T4 * math.sqrt(0.2 / 5)
    assert astuple(preferred(worth)) == pytest.approx((0.8, 0.8 - half, 1.0), abs=1e-6)


def test_four_prompts_that_are_decided_say_too_little():
    """96 ties and 4 for QSD, five times: 0.52 with prompts' variance (4 · 0.48² + 96 · 0.02²)/99."""
    worth = np.tile(np.repeat([1.0, 0.5], [4, 96]), (5, 1))
    half = T4 * math.sqrt((4 * 0.48**2 + 96 * 0.02**2) / 99 / 100)
    assert astuple(preferred(worth)) == pytest.approx((0.52, 0.52 - half, 0.52 + half), abs=1e-6)
    assert preferred(worth).low < 0.5


@pytest.mark.parametrize("studies", [1, 5])
def test_all_the_same_is_not_sure(studies):
    """Wilson's limit of n of n: n/(n + z²) with z² = 3.8415, over prompts, whatever the number of studies."""
    found = preferred(np.ones((studies, 4)))
    assert found == Interval(1.0, pytest.approx(4 / 7.8415, abs=1e-5), pytest.approx(1.0))


def test_one_study_has_wilsons_interval():
    """3 of 4: centre (0.75 + z²/8)/(1 + z²/4) = 0.6275, half width 0.3269."""
    found = preferred(np.array([[1.0, 1.0, 1.0, 0.0]]))
    assert astuple(found) == pytest.approx((0.75, 0.3006, 0.9544), abs=1e-4)


@pytest.mark.parametrize(
    ("worth", "p"),
    [
        ([[1.0, 1.0, 1.0, 0.0]], 0.31731),  # z = 0.25 · 2 · √4 = 1
        ([[1.0] * 4] * 5, 0.04550),  # z = 0.5 · 2 · √4 = 2, whatever the number of studies
        ([[0.0] * 4] * 5, 0.04550),
        ([[0.5] * 4] * 5, 1.0),
        ([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], 0.56370),  # all means are ⅔: z = √3/3
        ([[1.0, 1.0, 1.0, 0.0]] * 5, 0.37390),  # t₄ = 0.25/√(0.25/4) = 1: 1 − √(1/5) · (1 + (1 − 1/5)/2)
    ],
)
def test_p_of_a_half_by_hand(worth, p):
    """Student's t of 4 degrees: P(|T| < t) = s · (1 + (1 − s²)/2), s = t/√(t² + 4)."""
    assert p_half(np.array(worth)) == pytest.approx(p, abs=1e-5)


@pytest.mark.parametrize("many", [1, 2, 5])
def test_p_and_interval_say_the_same(many):
    """½ lies within the 95 % interval where p > 0.05, and only there."""
    draws = np.random.default_rng(0)
    for share in np.linspace(0.3, 0.7, 41):
        worth = draws.choice([0.0, 0.5, 1.0], p=[0.8 - share * 0.8, 0.2, share * 0.8], size=(many, 60))
        found = preferred(worth)
        assert (found.low <= 0.5 <= found.high) == (p_half(worth) > 0.05)
