"""From choices to duels."""

from __future__ import annotations

from tastemaker.rollout.choices import Choice
from tastemaker.rollout.stream import Duel, duels

CHOICES = [
    Choice(0, 0, 1, "b"),
    Choice(0, 0, 2, "tie"),
    Choice(0, 1, 2, "a"),
    Choice(1, 0, 1, "tie"),
    Choice(2, 0, 2, "a"),
]


def test_every_decided_choice_is_a_duel_and_ties_teach_nothing():
    """Three images a prompt: image s of prompt p is row 3 p + s."""
    assert duels(CHOICES, 3, "all", 4) == [
        Duel("004-00000-1-0", 0, 1, 0),
        Duel("004-00000-1-2", 0, 1, 2),
        Duel("004-00002-0-2", 2, 6, 8),
    ]


def test_best_against_worst_counts_wins_minus_losses():
    """Prompt 0: net −1, +2, −1, so 1 beats the first of the two others; prompt 1 is all ties."""
    assert duels(CHOICES, 3, "best-worst", 0) == [Duel("000-00000-1-0", 0, 1, 0), Duel("000-00002-0-2", 2, 6, 8)]


def test_a_circle_of_three_has_neither_best_nor_worst():
    circle = [Choice(0, 0, 1, "a"), Choice(0, 1, 2, "a"), Choice(0, 0, 2, "b")]
    assert duels(circle, 3, "best-worst", 0) == []
    assert len(duels(circle, 3, "all", 0)) == 3


def test_nobody_is_decided():
    assert duels([Choice(0, 0, 1, "tie")], 2, "all", 0) == duels([], 2, "best-worst", 0) == []
