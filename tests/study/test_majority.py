"""Majorities and win rates by hand."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest
from scipy.stats import binomtest

from tastemaker.study.majority import ANY, FlagRate, WinRate, flag_rates, majority, tally, win_rates
from tastemaker.study.resample import Bootstrap
from tastemaker.study.vote import Answer, Image, Item, Vote

FEW = Bootstrap(resamples=200)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ("aaabb", "a"), ("abbbt", "b"), ("attt", "t"), ("aabbt", None), ("aatt", None), ("aaabbb", None),
        ("aab", None), ("aaa", "a"), ("aaabbt", None), ("aaaabbt", "a"), ("", None),
    ],
)  # fmt: skip
def test_majority_of_three_or_more_by_hand(answers: str, outcome: str | None) -> None:
    """Three of five decide; half does not, nor do two of three when three are needed."""
    for order in {*permutations(answers)} if len(answers) < 6 else {answers}:
        assert majority(Counter(order)) == outcome


def test_fewer_may_be_enough_where_the_design_says_so() -> None:
    assert majority(Counter("aab"), least=2) == "a"
    assert majority(Counter("ab"), least=1) is None


def pairs(answers: dict[int, list[Answer]], **of: str) -> tuple[dict[int, Item], list[Vote]]:
    """Items of models base and tuned; ``of`` names the category of an item."""
    images = (Image("s0", "tuned"), Image("s1", "base"))
    items = {
        number: Item(id=number, kind="pair", prompt=f"p{number}", images=images, category=of.get(f"i{number}", ""))
        for number in answers
    }
    votes = [Vote(f"r{r}", item, "q", answer, 1, 1) for item, row in answers.items() for r, answer in enumerate(row)]
    return items, votes


ANSWERS: dict[int, list[Answer]] = {
    0: [0, 0, 0, 1, 1],  # tuned
    1: [0, 0, 0, 0, "tie"],  # tuned
    2: [1, 1, 1, 0, "tie"],  # base
    3: ["tie", "tie", "tie", 0, 1],  # tie
    4: [0, 0, 1, 1, "tie"],  # none
}


def rate(**of: str) -> list[WinRate]:
    items, votes = pairs(ANSWERS, **of)
    return list(win_rates(items, tally(items, votes), FEW))


def test_win_rate_by_hand() -> None:
    """For base: 1 win, 1 tie, 2 losses: (1 + ½)/4 and 1/3; votes 2, ½, 3½, 2½, 2½ of 5 each, together 11 of 25."""
    (found,) = rate()
    assert (found.a, found.b, found.category, found.prompts) == ("base", "tuned", None, 5)
    assert (found.wins, found.ties, found.losses, found.undecided) == (1, 1, 2, 1)
    assert found.rate.value == pytest.approx(1.5 / 4)
    assert found.decided.value == pytest.approx(1 / 3)
    assert found.share.value == pytest.approx(11 / 25)


def test_wilson_is_scipys() -> None:
    (found,) = rate()
    theirs = binomtest(1, 3).proportion_ci(method="wilson")
    assert (found.decided.wilson_low, found.decided.wilson_high) == pytest.approx((theirs.low, theirs.high))


def test_sides_and_names_do_not_matter() -> None:
    """The other order of images with the answers turned, and the other names, mirror the rate."""
    items, votes = pairs(ANSWERS)
    turned = {number: item.model_copy(update={"images": item.images[::-1]}) for number, item in items.items()}
    answers = [replace(vote, answer={0: 1, 1: 0}.get(vote.answer, vote.answer)) for vote in votes]  # type: ignore[arg-type]
    (mirrored,), (straight,) = win_rates(turned, tally(turned, answers), FEW), rate()
    assert (mirrored.rate, mirrored.decided, mirrored.ties) == (straight.rate, straight.decided, straight.ties)
    assert mirrored.share.low == pytest.approx(straight.share.low)
    names = {"tuned": "a", "base": "b"}
    renamed = {
        number: item.model_copy(update={"images": tuple(Image(sha, names[model]) for sha, model in item.images)})
        for number, item in items.items()
    }
    (found,) = win_rates(renamed, tally(renamed, votes), FEW)
    assert found.rate.value == pytest.approx(1 - rate()[0].rate.value)
    assert (found.rate.wilson_low, found.rate.wilson_high) == pytest.approx(
        (1 - rate()[0].rate.wilson_high, 1 - rate()[0].rate.wilson_low)
    )


def test_categories_add_up() -> None:
    whole, animals, people = rate(i0="people", i1="animals", i2="animals", i3="people")
    assert [each.category for each in (whole, animals, people)] == [None, "animals", "people"]
    assert (animals.wins, animals.losses, animals.prompts) == (1, 1, 2)
    assert (people.losses, people.ties, people.undecided) == (1, 1, 0)


def test_undecided_alone_has_no_rate() -> None:
    items, votes = pairs({4: ANSWERS[4]})
    (found,) = win_rates(items, tally(items, votes), FEW)
    assert found.undecided == 1
    assert all(map(math.isnan, (found.rate.value, found.rate.wilson_low, found.rate.low, found.decided.value)))
    assert found.share.value == 0.5


def test_gold_and_repeats_do_not_count() -> None:
    items, votes = pairs(ANSWERS)
    items[0] = items[0].model_copy(update={"gold": 0})
    items[1] = items[1].model_copy(update={"repeats": 2})
    assert {duel.item for duel in tally(items, votes)} == {2, 3, 4}


def test_the_best_of_three_wins_its_duels() -> None:
    """Votes 0, 0, 0, 2: image 0 beats 1 by 3 : 0 and 2 by 3 : 1; 2 beats 1 by 1 : 0, which is no majority of three."""
    images = tuple(Image(f"s{i}", model) for i, model in enumerate("xyy"))
    items = {0: Item(id=0, kind="best", prompt="p", images=images)}
    found = tally(items, [Vote(f"r{r}", 0, "q", answer, 1, 1) for r, answer in enumerate([0, 0, 0, 2])])
    assert [(duel.a, duel.b, duel.outcome, duel.share) for duel in found] == [
        (0, 1, "a", 1), (0, 2, "a", 0.75), (1, 2, None, 0),
    ]  # fmt: skip
    (rates,) = win_rates(items, found, FEW)  # y against itself is no contest
    assert (rates.a, rates.b, rates.wins, rates.prompts) == ("x", "y", 2, 1)


def test_flag_rates_by_hand() -> None:
    """Model x: hands by 3 of 5; model y: hands by 2 and unsafe by 1, so any by 3."""
    items = {0: Item(id=0, kind="flag", prompt="p", images=(Image("s0", "x"), Image("s1", "y")))}
    named: list[Answer] = [((0, "h"), (1, "h")), ((0, "h"), (1, "h")), ((0, "h"), (1, "u")), (), ()]
    votes = [Vote(f"r{r}", 0, "q", answer, 1, 1) for r, answer in enumerate(named)]

    def counted(each: FlagRate) -> tuple[str, str, int, int]:
        return each.flag, each.model, each.flagged, each.images

    assert [*map(counted, flag_rates(items, votes, ["h", "u"], bootstrap=FEW))] == [
        (ANY, "x", 1, 1), (ANY, "y", 1, 1), ("h", "x", 1, 1), ("h", "y", 0, 1), ("u", "x", 0, 1), ("u", "y", 0, 1),
    ]  # fmt: skip
