"""A round as a study: what is asked, and what choices the votes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.asked_rounds import a_round, asked_and_answered, best, brighter, dark, opened, ranking
from support.voters import joined, vote
from tastemaker.rollout.asking import Asked
from tastemaker.rollout.choices import Choice
from tastemaker.study.vote import Answer, Item


def test_pairs_are_the_choices_that_people_made(tmp_path: Path) -> None:
    """Shades 3, 8, 9: 8 and 9 beat 3, and are equal to this person; 20 beats 10 and 1, 10 beats 1."""
    assert asked_and_answered(Asked(), a_round(tmp_path, [3, 8, 9], [20, 10, 1]), brighter) == [
        Choice(0, 0, 1, "b"),
        Choice(0, 0, 2, "b"),
        Choice(0, 1, 2, "tie"),
        Choice(1, 0, 1, "a"),
        Choice(1, 0, 2, "a"),
        Choice(1, 1, 2, "a"),
    ]


def test_the_best_beats_the_others_of_whom_nothing_is_known(tmp_path: Path) -> None:
    assert asked_and_answered(Asked(task="best"), a_round(tmp_path, [3, 9, 8]), best) == [
        Choice(0, 0, 1, "b"),
        Choice(0, 1, 2, "a"),
    ]


def test_a_ranking_is_a_choice_for_every_two(tmp_path: Path) -> None:
    assert asked_and_answered(Asked(task="rank"), a_round(tmp_path, [3, 9, 8]), ranking) == [
        Choice(0, 0, 1, "b"),
        Choice(0, 0, 2, "b"),
        Choice(0, 1, 2, "a"),
    ]


def test_a_flagged_image_loses_and_images_alike_are_not_compared(tmp_path: Path) -> None:
    """Shades 3 and 4 are flagged: each loses against 9, in whatever order they stand."""
    feedback = Asked(task="flag", flags=("hands", "unsafe"))
    assert asked_and_answered(feedback, a_round(tmp_path, [3, 9, 4], [1, 2, 3]), dark) == [
        Choice(0, 0, 1, "b"),
        Choice(0, 1, 2, "a"),
    ]


def test_equal_images_are_asked_about_once_and_the_answer_is_of_all_of_them(tmp_path: Path) -> None:
    """Rows 5 5 9 and 7 7 7: one question in all, two choices; 9 beats both fives."""
    round = a_round(tmp_path, [5, 5, 9], [7, 7, 7])
    assert asked_and_answered(Asked(), round, brighter) == [Choice(0, 0, 2, "b"), Choice(0, 1, 2, "b")]
    with opened(round) as store:
        assert len(store.design.items) == 1


def test_a_round_of_equal_images_asks_nothing(tmp_path: Path) -> None:
    round = a_round(tmp_path, [7, 7], [8, 8])
    assert Asked().choices(round) == []
    assert not (round.folder / "study").exists()


def test_a_prompt_that_comes_up_twice_is_asked_about_twice(tmp_path: Path) -> None:
    round = a_round(tmp_path, [3, 9], [20, 10], prompts=["same", "same"])
    assert asked_and_answered(Asked(task="best"), round, best) == [Choice(0, 0, 1, "b"), Choice(1, 0, 1, "a")]


def test_most_people_decide_and_equal_halves_are_a_tie(tmp_path: Path) -> None:
    """Of three people two prefer the brighter of 3 and 9; of two people one each is a tie."""

    def darker(item: Item) -> Answer | None:
        return 1 - int(brighter(item))  # type: ignore[arg-type]

    for raters, says, label in ((3, [brighter, darker, brighter], "b"), (2, [brighter, darker], "tie")):
        feedback, round = Asked(raters=raters), a_round(tmp_path / str(raters), [3, 9])
        assert isinstance(feedback.choices(round), str)
        with opened(round) as store:
            for rater, one in zip(joined(store, raters), says, strict=True):
                assert isinstance(feedback.choices(round), str)
                vote(store, rater, one)
        assert feedback.choices(round) == [Choice(0, 0, 1, label)]


def test_what_is_skipped_is_settled_and_gives_no_choice(tmp_path: Path) -> None:
    def sure(item: Item) -> Answer | None:
        answer = brighter(item)
        return None if answer == "tie" else answer

    found = asked_and_answered(Asked(), a_round(tmp_path, [3, 8, 9]), sure)
    assert found == [Choice(0, 0, 1, "b"), Choice(0, 0, 2, "b")]


def test_votes_of_whom_the_rules_exclude_do_not_count(tmp_path: Path) -> None:
    """One who clicks within 0.1 s says the contrary; the median has to be 1 s, and who answers alone decides."""
    feedback = Asked(raters=2, rules={"median_seconds": 1.0})
    round = a_round(tmp_path, [3, 8, 20])
    assert isinstance(feedback.choices(round), str)
    with opened(round) as store:
        honest, hasty = joined(store, 2)
        vote(store, honest, brighter)
        vote(store, hasty, lambda item: 1 - int(brighter(item)), seconds=0.1)  # type: ignore[arg-type]
    assert feedback.choices(round) == [Choice(0, a, b, "b") for a, b in ((0, 1), (0, 2), (1, 2))]


def test_repetitions_are_asked_and_count_in_nothing(tmp_path: Path) -> None:
    feedback = Asked(repeats=0.5, rules={"self_disagreement": 0.5})
    round = a_round(tmp_path, [3, 8, 20, 30])
    assert len(asked_and_answered(feedback, round, brighter)) == 6
    with opened(round) as store:
        assert len(store.design.items) == 9 == feedback.work(1, 4)["tasks a round"]


def test_rounds_are_drawn_anew_and_a_round_always_alike(tmp_path: Path) -> None:
    orders = []
    for folder, number in (("one", 0), ("two", 0), ("three", 1)):
        round = a_round(tmp_path / folder, [*range(0, 16, 2)], number=number)
        Asked().choices(round)
        with opened(round) as store:
            orders.append([[image.sha for image in item.images] for item in store.design.items])
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize(("task", "choices"), [("pair", 6), ("best", 3), ("rank", 6), ("flag", 4)])
def test_the_work_of_a_round_is_what_is_asked(tmp_path: Path, task: str, choices: int) -> None:
    """Four images: 6 pairs, 3 losers, 6 pairs of a ranking; two flagged and two not are 4 pairs."""
    flags = ("hands",) if task == "flag" else ()
    feedback, round = Asked(task=task, flags=flags), a_round(tmp_path, [1, 10, 3, 20], [2, 4, 18, 30])
    says = {"pair": brighter, "best": best, "rank": ranking, "flag": dark}[task]
    found, work = asked_and_answered(feedback, round, says), feedback.work(2, 4)
    assert work["choices a round, at most"] == len(found) == 2 * choices
    with opened(round) as store:
        assert work["tasks a round"] == len(store.design.items)
