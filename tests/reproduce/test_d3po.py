"""D3PO's tables by hand: differences, rates, what is said of them, and which exhibits a profile has."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from support.online_shop import filled, shop
from tastemaker.base.files import read_json, write_json
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce import d3po, d3po_rates, d3po_runs, online, world_profile
from tastemaker.reproduce.d3po_rates import Rate, agrees, distorted, percent, preferred
from tastemaker.reproduce.results import Results

UTILITY = online.UTILITY


def test_the_exhibits_of_a_profile() -> None:
    world = world_profile.profile()
    found = d3po.exhibits(world)
    assert [exhibit.key for exhibit in found] == ["rewards", "rates", "memory"]
    assert {exhibit.paper for exhibit in found} == {"d3po"}
    assert found[0].tasks == ("compressibility", "incompressibility", "people")
    assert all(exhibit.arms == () for exhibit in found)
    papers = replace(world, online=online.sd15("sd15", list, list))
    keys = [exhibit.key for exhibit in d3po.exhibits(papers)]
    assert keys == ["rewards", "rates", "memory"]
    assert [type(d3po.exhibits(one)[1]).__name__ for one in (world, papers)] == ["Rates", "Asked"]
    assert d3po.exhibits(papers)[0].tasks == ("compressibility", "incompressibility", "aesthetics")
    assert d3po.exhibits(replace(world, online={})) == []


def test_nothing_is_written_of_what_is_not_finished(tmp_path: Path) -> None:
    results = Results(shop(tmp_path))
    for exhibit in d3po.exhibits(results.shop.profile):
        assert exhibit.write(results, tmp_path) == ""
    assert not list(tmp_path.iterdir())


def test_a_difference_by_hand(tmp_path: Path) -> None:
    """Differences 0.1, 0.01, −0.1, 0.2 and 0.1, 0.1, 0.1, 0.1; within 0.02 is a tie: (1 + ½ + 0 + 1)/4 and 4/4."""
    made = filled(tmp_path, "people", [0.5] * 4, [0.6, 0.51, 0.4, 0.7], [0.6] * 4)
    found = d3po.change(made, "people", UTILITY)
    assert (found.task, found.judge, found.taught, found.seeds) == ("people", "utility", True, 2)
    assert (found.before, found.after) == (pytest.approx(0.5), pytest.approx((0.5525 + 0.6) / 2))
    assert found.by.value == pytest.approx(0.07625)
    assert found.wins.value == pytest.approx((0.625 + 1) / 2)
    assert (found.wins.low, found.wins.high) == (0, 1), "two seeds say little, and a share stays a share"
    assert found.way == "too few seeds (2) to say"


@pytest.mark.parametrize(
    ("seeds", "value", "p", "says"),
    [
        (5, 0.2, 0.01, "higher"),
        (5, -0.2, 0.05, "lower"),
        (5, 0.2, 0.06, "not distinguishable"),
        (4, 0.2, 0.01, "too few seeds (4) to say"),
    ],
)
def test_the_way_of_a_difference(seeds: int, value: float, p: float, says: str) -> None:
    by = Interval(value, value - 0.1, value + 0.1)
    assert d3po.Change("", "", True, seeds, 0.0, value, by, Interval(0.5, 0.0, 1.0), p).way == says


def test_p_is_corrected_for_every_judge_and_task(tmp_path: Path) -> None:
    """Three judges, two of which see 0.5 less 0.5: 1; of utility p is t by hand, times 3."""
    after = [
        [0.6, 0.7, 0.6, 0.7],
        [0.7, 0.6, 0.6, 0.7],
        [0.6, 0.6, 0.7, 0.7],
        [0.6, 0.7, 0.7, 0.6],
        [0.7, 0.7, 0.6, 0.6],
    ]
    made = filled(tmp_path, "people", [0.5] * 4, *after)
    for seed in range(5):
        place = d3po_runs.place(made, "people", seed) / "scores.json"
        write_json(place, read_json(place) | {"correct": [0.5] * 4, "shapes": [0.5] * 4})
    alone = d3po.change(made, "people", UTILITY).p
    found = {one.judge: one for one in d3po.changes(made, ["people"])}
    assert found["utility"].p == pytest.approx(3 * alone)
    assert (found["correct"].p, found["correct"].way) == (1, "not distinguishable")
    assert found["utility"].way == "higher"


def test_what_stands_in_for_aesthetics_is_said_where_there_is_none(tmp_path: Path) -> None:
    made = filled(tmp_path, "people", [0.5] * 4, [0.6] * 4)
    rewards = d3po.exhibits(made.profile)[0]
    said = "\n".join(rewards._lines(made, ["people"]))
    assert "aesthetics, has no counterpart here" in said
    assert "In its place stands `people`" in said
    assert "| people | utility† | 1 | 0.500 | 0.600 | +0.100 (one seed) |" in said
    assert "- people, against the base on held-out prompts: utility too few seeds (1) to say" in said
    papers = replace(rewards, tasks=("aesthetics", "people"))
    assert "no counterpart" not in "\n".join(papers._lines(made, ["people"]))


def test_distortion_by_hand(tmp_path: Path) -> None:
    """Right before: 1, 0, 1, 1; after: 1, 1, 1, 0 and 1, 1, 1, 1. Distorted: ¼ before, (¼ + 0)/2 after.

    Wilson of 1 in 4: (¼ + z²/8)/(1 + z²/4) = 0.372473, and z/(1 + z²/4) √(¼ · ¾/4 + z²/64) = 0.326885 to either side.
    Of the change: the seeds' means are 0 and −¼, their variance 1/32; the captions' 0, −1, 0, ½, their variance
    1.1875/3; error √(1/64 + 1.1875/12) = 0.338502, t_1 = 12.7062.
    """
    made = filled(tmp_path, "shapes", [1, 0, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1], judge="shapes")
    (rate,) = distorted(made, "shapes")
    assert rate.before == Interval(0.25, pytest.approx(0.045588, abs=1e-5), pytest.approx(0.699358, abs=1e-5))
    assert rate.after == Interval(0.125, 0.0, 1.0)
    half = 12.7062 * 0.338502
    low, high = pytest.approx(-0.125 - half, abs=1e-3), pytest.approx(-0.125 + half, abs=1e-3)
    assert rate.change == Interval(-0.125, low, high)
    assert (rate.seeds, rate.published) == (2, (0.284, 0.139))
    assert rate.p == pytest.approx(1 - 2 / math.pi * math.atan(0.125 / 0.338502), abs=1e-5), "t_1 is Cauchy's"


def test_preference_by_hand(tmp_path: Path) -> None:
    made = filled(tmp_path, "people", [0.5] * 4, [0.6, 0.51, 0.4, 0.7], [0.6] * 4)
    person, utility = preferred(made, "people")
    assert utility.after.value == pytest.approx(0.8125)
    assert utility.change.value == pytest.approx(0.3125)
    error = (utility.change.high - 0.3125) / 12.7062
    assert utility.p == pytest.approx(1 - 2 / math.pi * math.atan(0.3125 / error), abs=1e-5)
    assert person.label.endswith("the simulated person")
    assert 0 <= person.after.value <= 1
    assert person.after.value * 8 == int(person.after.value * 8), "eight answers, none of which is a tie"
    assert utility.published == person.published == (0.5, 0.703)


def rate(before: float | None, after: float, low: float, high: float, published: tuple[float, float]) -> Rate:
    first = None if before is None else Interval(before, 0.0, 1.0)
    change = after - (0.5 if before is None else before)
    seeds, p = (4, 1.0) if math.isinf(low) else (5, 0.5 if low <= 0 <= high else 0.01)
    return Rate("", seeds, first, Interval(after, 0.0, 1.0), Interval(change, low, high), p, published)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (rate(0.42, 0.27, -0.2, -0.1, (0.284, 0.139)), "the paper's direction; 15.0 points where the paper has 14.5"),
        (rate(0.42, 0.57, 0.1, 0.2, (0.284, 0.139)), "does not hold: the other way round"),
        (rate(0.42, 0.40, -0.1, 0.1, (0.284, 0.139)), "not distinguishable from the base"),
        (rate(None, 0.8, 0.2, 0.4, (0.5, 0.703)), "the paper's direction; 30.0 points where the paper has 20.3"),
        (rate(None, 0.3, -0.3, -0.1, (0.5, 0.703)), "does not hold: the other way round"),
        (rate(None, 0.8, -math.inf, math.inf, (0.5, 0.703)), "too few seeds (4) to say"),
    ],
)
def test_whether_a_rate_agrees(found: Rate, says: str) -> None:
    assert agrees(found) == says


def test_rates_are_corrected_for_all_rows() -> None:
    some = [replace(rate(0.4, 0.3, -0.2, -0.1, (0.2, 0.1)), p=p) for p in (0.02, 0.04, 0.5)]
    assert [one.p for one in d3po_rates.corrected(some)] == pytest.approx([0.06, 0.08, 0.5])
    assert agrees(some[0]).startswith("the paper's direction")
    assert agrees(d3po_rates.corrected(some)[0]) == "not distinguishable from the base"


def test_the_page_has_corrected_rates(tmp_path: Path) -> None:
    """Two rows of one task: the smaller p is doubled."""
    made = filled(tmp_path, "people", [0.5] * 4, [0.6, 0.51, 0.4, 0.7], [0.6] * 4)
    d3po_rates.Rates("shapes", "people").write(Results(made), tmp_path)
    shown = [one["p"] for one in read_json(tmp_path / "rates.json")["rates"]]
    raw = [one.p for one in preferred(made, "people")]
    assert min(shown) == pytest.approx(min(1, 2 * min(raw)))
    assert min(raw) < 0.5


def test_the_table_of_rates(tmp_path: Path) -> None:
    made = filled(tmp_path, "shapes", [1, 0, 1, 0], [1, 1, 1, 0], judge="shapes")
    rates = d3po_rates.Rates("shapes", "people")
    text = rates.write(Results(made), tmp_path)
    assert "| 50.0 % (15.0 to 85.0) | 25.0 % (one seed) | -25.0 points (one seed) | 28.4 % → 13.9 % |" in text
    assert "| unsafe images | – |  |  |  | 25.0 % → 3.0 % |" in text
    assert "Unsafe images are not measured: the small world has none" in text
    assert "wrong or missing shape, for distorted hands: too few seeds (1) to say" in text
    assert "preferred to the base" not in text, "that task has not run"
    saved = read_json(tmp_path / "rates.json")["rates"]
    assert saved[0]["after"] == {"value": 0.25, "low": None, "high": None}
    assert (tmp_path / "rates.parquet").is_file()


def test_a_share_in_per_cent() -> None:
    assert percent(Interval(0.125, 0.1, 0.15)) == "12.5 % (10.0 to 15.0)"
    assert percent(Interval(-0.125, -0.2, 0.05), "+.1f", "points") == "-12.5 points (-20.0 to +5.0)"
