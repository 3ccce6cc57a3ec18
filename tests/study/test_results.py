"""What is written down: numbers by hand before and after exclusion, gaps, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tastemaker.base.errors import UserError
from tastemaker.base.files import write_json
from tastemaker.study.exclusion import Rules
from tastemaker.study.resample import Bootstrap
from tastemaker.study.results import Results, results, to_json, to_markdown
from tastemaker.study.vote import TIE, Image, Item, Vote, pseudonym

IMAGES = (Image("s0", "base"), Image("s1", "tuned"))
ITEMS = [Item(id=i, kind="pair", prompt=f"p{i}", images=IMAGES, category="ab"[i % 2]) for i in range(4)]
ITEMS.append(Item(id=4, kind="pair", prompt="gold", images=IMAGES, gold=1))
GOOD = [Vote(f"g{r}", i, "preference", 1, 4.0, 1.0) for r in range(3) for i in range(5)]
BAD = [Vote(f"b{r}", i, "preference", 0, 0.2, 1.0) for r in range(4) for i in range(5)]


def found(votes: list[Vote], rules: Rules | None = None) -> Results:
    return results(ITEMS, votes, rules, bootstrap=Bootstrap(resamples=100))


def test_before_and_after_by_hand() -> None:
    """Four raters in a hurry take every item of four for base; without them three give it to tuned, all of one mind."""
    both = found(GOOD + BAD, Rules(median_seconds=1.0))
    before, after = both.before[0].win_rates[0], both.after[0].win_rates[0]
    assert (before.wins, before.losses, before.rate.value) == (4, 0, 1.0)
    assert (after.wins, after.losses, after.rate.value) == (0, 4, 0.0)
    assert (both.before[0].raters, both.after[0].raters, both.before[0].votes, both.after[0].votes) == (7, 3, 28, 12)
    assert both.after[0].agreement.raw.value == 1.0
    assert before.share.value == pytest.approx(4 / 7)
    assert {finding.rater for finding in both.excluded} == {"b0", "b1", "b2", "b3"}


def test_changed_and_withdrawn_votes() -> None:
    votes = [*GOOD, Vote("g0", 0, "preference", TIE, 1, 2, 1), Vote("g1", 0, "preference", None, 1, 2, 1)]
    both = found(votes)
    assert (both.votes, both.counted, both.raters) == (17, 14, 3)
    assert repr(both.before) == repr(both.after)  # NaN equals nothing, not even itself
    assert both.after[0].win_rates[0].undecided == 1


def test_questions_stand_apart() -> None:
    appeal = [Vote("g0", 0, "appeal", 0, 1, 1)]
    assert [one.question for one in found(GOOD + appeal).before] == ["preference", "appeal"]
    assert repr(found(GOOD + appeal).before[0]) == repr(found(GOOD).before[0])


def test_json_and_markdown(tmp_path: Path) -> None:
    both = found(GOOD + BAD, Rules(median_seconds=1.0))
    write_json(tmp_path / "results.json", to_json(both))
    read = json.loads((tmp_path / "results.json").read_text())
    assert read["rules"]["median_seconds"] == 1.0
    assert read["after"][0]["agreement"]["alpha"]["value"] is None  # nothing varies
    names = sorted(pseudonym(f"b{i}") for i in range(4))
    assert sorted(each.pop("rater") for each in read["excluded"]) == names
    assert read["excluded"][0] == {"rule": "median_seconds", "value": 0.2, "limit": 1.0, "answers": 5}
    page = to_markdown(both)
    assert "Excluded: 4 of 7 raters." in page
    assert f"- {names[0]}: median_seconds is 0.2 over 5 answers; the limit is 1" in page
    assert "| base against tuned | all | 4 | 0 / 0 / 4 / 0 | 0.000 (0.000 to 0.000) | 0.000 to 0.490 |" in page
    assert "nan" not in page
    rows = [line.count("|") for line in page.splitlines() if line.startswith(("| base", "| models"))]
    assert len(set(rows)) == 1


def test_no_votes_at_all() -> None:
    empty = found([])
    assert (empty.votes, empty.before, empty.excluded) == (0, (), ())
    assert "0 votes of 0 raters" in to_markdown(empty)


def test_votes_of_another_design_are_refused() -> None:
    with pytest.raises(UserError, match="vote of r on item 9, q, revision 0: the design has no such item; give the"):
        found([Vote("r", 9, "q", 0, 1, 1)])
    with pytest.raises(UserError, match="vote of r on item 0, q, revision 2: 5 is no image from 0 to 1 and no tie"):
        found([Vote("r", 0, "q", 5, 1, 1, 2)])


def test_flags_and_rankings_on_one_page() -> None:
    items = [
        Item(id=0, kind="flag", prompt="p", images=IMAGES),
        Item(id=1, kind="rank", prompt="p", images=(*IMAGES, Image("s2", "base"))),
    ]
    votes = [Vote(f"r{r}", 0, "flags", ((0, "bad | hands"),), 1, 1) for r in range(3)]
    votes += [Vote(f"r{r}", 1, "order", (1, 0, 2), 1, 1) for r in range(3)]
    page = to_markdown(results(items, votes, flags=["unsafe"], bootstrap=Bootstrap(resamples=50)))
    assert "| base | any | all | 1 of 1 |" in page
    assert "| base | bad \\| hands | all | 1 of 1 |" in page
    assert "| tuned | unsafe | all | 0 of 1 |" in page
    assert "| base against tuned | all | 1 | 0 / 0 / 2 / 0 |" in page
    assert "ordinal α of ranks" in page
