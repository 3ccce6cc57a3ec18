"""Each rule by hand: just within its limit and just beyond; and whose votes it looks at."""

from __future__ import annotations

from typing import Any

import pytest

from tastemaker.base.config import validate
from tastemaker.base.errors import UserError
from tastemaker.study.exclusion import Finding, Rules, exclusions, kept, sides, with_others
from tastemaker.study.vote import TIE, Answer, Image, Item, Vote

PAIR = (Image("s0", "x"), Image("s1", "y"))


def item(number: int, **more: Any) -> Item:
    return Item(id=number, kind="pair", prompt=f"p{number}", images=PAIR, **more)


def cast(rater: str, answers: list[Answer | None], start: int = 0, **more: Any) -> list[Vote]:
    values = {"seconds": 5.0, "at": 1.0} | more
    return [Vote(rater, start + i, "q", answer, **values) for i, answer in enumerate(answers) if answer is not None]


def test_without_rules_nobody_goes() -> None:
    votes = cast("r", [0, 0, 0], seconds=0.0, shown=(0, 1))
    assert exclusions([item(i, gold=1) for i in range(3)], votes, Rules()) == []


def test_gold_by_hand() -> None:
    """Two of four missed: a share of ½ is allowed where the limit is ½, not where it is 0.49."""
    items = [item(i, gold=0) for i in range(4)]
    votes = cast("r", [0, 0, 1, TIE])
    assert exclusions(items, votes, Rules(gold_missed=0.5)) == []
    assert exclusions(items, votes, Rules(gold_missed=0.49)) == [Finding("r", "gold_missed", 0.5, 0.49, 4)]


def test_a_share_needs_evidence() -> None:
    items, votes = [item(i, gold=0) for i in range(4)], cast("r", [1, 1])
    assert exclusions(items, votes, Rules(gold_missed=0.1)) == []
    assert len(exclusions(items, votes, Rules(gold_missed=0.1, evidence=2))) == 1


def test_repeats_by_hand() -> None:
    """Items 0 to 3 again as 4 to 7: one answered otherwise, one original never answered, so one of three."""
    items = [item(i) for i in range(4)] + [item(4 + i, repeats=i) for i in range(4)]
    votes = cast("r", [0, 1, 0, None, 0, 1, 1, 1])
    assert exclusions(items, votes, Rules(self_disagreement=0.34)) == []
    (found,) = exclusions(items, votes, Rules(self_disagreement=0.33))
    assert (found.rule, found.value, found.answers) == ("self_disagreement", pytest.approx(1 / 3), 3)


def test_only_the_last_votes_count() -> None:
    """A rater who corrected three gold items missed none."""
    items = [item(i, gold=0) for i in range(3)]
    votes = cast("r", [1, 1, 1]) + cast("r", [0, 0, 0], revision=1)
    assert exclusions(items, votes, Rules(gold_missed=0.0)) == []
    assert len(exclusions(items, votes[:3], Rules(gold_missed=0.0))) == 1


def test_the_median_of_seconds() -> None:
    """1, 1, 9: the median is 1, though the mean is above 3."""
    votes = cast("r", [0, 0], seconds=1.0) + cast("r", [0], 2, seconds=9.0)
    items = [item(i) for i in range(3)]
    assert [each.value for each in exclusions(items, votes, Rules(median_seconds=1.5))] == [1.0]
    assert exclusions(items, votes, Rules(median_seconds=1.0)) == []


def test_a_side_is_where_the_image_stood() -> None:
    """Always image 0, shown left, left, right, right: no side is preferred. Always the left one: all on it."""
    items = [item(i) for i in range(5)]
    shown = [(0, 1), (0, 1), (1, 0), (1, 0)]
    honest = [Vote("honest", i, "q", 0, 5, 1, shown=order) for i, order in enumerate(shown)]
    lazy = [Vote("lazy", i, "q", order[0], 5, 1, shown=order) for i, order in enumerate(shown)]
    ties = [Vote("lazy", 4, "q", TIE, 5, 1, shown=(0, 1))]
    assert sides({each.id: each for each in items}, lazy + ties) == {0: 4}
    assert sides({each.id: each for each in items}, honest) == {0: 2, 1: 2}
    assert exclusions(items, honest + lazy + ties, Rules(one_side=0.9)) == [Finding("lazy", "one_side", 1.0, 0.9, 4)]


def test_few_votes() -> None:
    items = [item(i) for i in range(3)]
    votes = cast("r", [0, 0]) + cast("s", [0, 0, 0])
    assert exclusions(items, votes, Rules(few_votes=3)) == [Finding("r", "few_votes", 2, 3, 2)]


def test_the_rater_is_no_part_of_the_majority() -> None:
    """0, 0, 1: the third disagrees with two; each of the first two sees one 0 and one 1, and no majority."""
    items = {0: item(0)}
    votes = cast("r", [0]) + cast("s", [0]) + cast("t", [1])
    assert with_others(items, votes) == {"t": [False]}
    assert with_others(items, [*votes, *cast("u", [0])]) == {"r": [True], "s": [True], "t": [False], "u": [True]}


def test_the_excluded_are_no_part_of_the_majority_but_are_measured() -> None:
    """Four bad raters outvote three good ones, unless they are gone; they are measured against the good too."""
    items = {0: item(0)}
    good = cast("g0", [0]) + cast("g1", [0]) + cast("g2", [0])
    bad = [vote for name in ("b0", "b1", "b2", "b3") for vote in cast(name, [1])]
    assert with_others(items, good + bad)["g0"] == [False]
    apart = with_others(items, good + bad, ["b0", "b1", "b2", "b3"])
    assert apart == {"g0": [True], "g1": [True], "g2": [True]} | {f"b{i}": [False] for i in range(4)}


def test_a_gone_rater_is_measured_against_all_who_stay() -> None:
    """Two who stay say 0, which is majority enough for the third, who is gone; his own 0 was never among theirs."""
    votes = cast("r", [0]) + cast("s", [0]) + cast("gone", [0])
    assert with_others({0: item(0)}, votes, ["gone"]) == {"gone": [True]}


def test_one_other_is_no_majority() -> None:
    assert with_others({0: item(0)}, cast("r", [0]) + cast("s", [1])) == {}


def test_questions_have_majorities_of_their_own() -> None:
    """All say 0 to the one; to the other 1, 1, 0, of which only the third has two others who are of one mind."""
    votes = [
        Vote(r, 0, q, answer, 1, 1)
        for r, said in (("r", 1), ("s", 1), ("t", 0))
        for q, answer in (("q", 0), ("appeal", said))
    ]
    assert with_others({0: item(0)}, votes) == {"t": [False, True], "r": [True], "s": [True]}


def test_agreement_with_the_majority_by_hand() -> None:
    """Of four items the fourth rater shares two with the other three: ½ is enough where ½ is asked for."""
    items = [item(i) for i in range(4)]
    votes = [vote for name in "rst" for vote in cast(name, [0] * 4)] + cast("u", [0, 0, 1, 1])
    assert exclusions(items, votes, Rules(majority_agreement=0.5)) == []
    assert exclusions(items, votes, Rules(majority_agreement=0.51)) == [
        Finding("u", "majority_agreement", 0.5, 0.51, 4)
    ]
    assert exclusions(items, votes, Rules(majority_agreement=0.51, evidence=5)) == []


def test_first_the_rules_that_look_at_one_then_the_majority() -> None:
    """Four raters in a hurry would make the three slow ones disagree; excluded first, they cannot."""
    items = [item(i) for i in range(4)]
    slow = [vote for name in ("s0", "s1", "s2") for vote in cast(name, [0] * 4)]
    fast = [vote for name in ("f0", "f1", "f2", "f3") for vote in cast(name, [1] * 4, seconds=0.1)]
    both = exclusions(items, slow + fast, Rules(majority_agreement=0.5, median_seconds=1.0))
    assert {finding.rater for finding in both} == {"f0", "f1", "f2", "f3"}
    assert [finding.rule for finding in both[:2]] == ["majority_agreement", "median_seconds"]
    alone = exclusions(items, slow + fast, Rules(majority_agreement=0.5))
    assert {finding.rater for finding in alone} == {"s0", "s1", "s2"}
    assert {vote.rater for vote in kept(slow + fast, both)} == {"s0", "s1", "s2"}


def test_checks_are_no_part_of_the_majority_rule() -> None:
    items = {0: item(0, gold=0), 1: item(1, repeats=0)}
    votes = [vote for name in "rst" for vote in cast(name, [0, 0])]
    assert with_others(items, votes) == {}


def test_a_finding_reads_as_a_line() -> None:
    line = str(Finding("r1", "gold_missed", 2 / 3, 0.25, 6))
    assert line == "r1: gold_missed is 0.667 over 6 answers; the limit is 0.25"


@pytest.mark.parametrize(
    "rules", [{"gold_missed": 1.5}, {"one_side": 0}, {"median_seconds": -1}, {"evidence": 0}, {"gold": 0.3}]
)
def test_rules_that_make_no_sense(rules: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"^study.json: {next(iter(rules))}: [^\n]*$"):
        validate(Rules, rules, "study.json")
