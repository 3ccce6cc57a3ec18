"""Claims on one judge, on all and on some of them: p by hand, Holm over the table, margins, what is written."""

from __future__ import annotations

import math

import numpy as np
import pytest

from support.reproduced import by_hand, write_arm, write_base
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.claims import conjunction, judged, judges_of, tidy_claims
from tastemaker.reproduce.exhibit import Claim
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.results import Results

ONE, TWO, THREE = Arm("world"), Arm("world", loss="ipo"), Arm("world", loss="slic")
BASE = [0.0, 1.0, 2.0, 3.0]
GAINS = {"utility": (1, 1, 1, 1, 2), "correct": (0, 1, 2, 1, 1)}
"""Of each seed, alike at every prompt: means 1.2 and 1, variances 0.2 and 0.5, t = 1.2/√0.04 = 6 and 1/√0.1 = √10."""


def p4(t: float) -> float:
    """Two-sided p of Student's t with 4 degrees of freedom: 1 − (3u − u³)/2 with u = t/√(4 + t²)."""
    u = t / math.sqrt(4 + t * t)
    return 1 - (3 * u - u**3) / 2


UTILITY, CORRECT = p4(6), p4(math.sqrt(10))


def shop_of(tmp_path, gains=GAINS, arm=ONE):
    shop = by_hand(tmp_path)
    write_base(shop, dict.fromkeys(gains, BASE))
    for seed in range(5):
        write_arm(shop, arm, seed, {name: [low + some[seed] for low in BASE] for name, some in gains.items()})
    return shop


def one(claim, shop):
    (found,) = judged([claim], Results(shop), "world")
    return found


def test_p4_is_the_printed_table():
    assert p4(2.7764451) == pytest.approx(0.05, abs=1e-8)
    assert pytest.approx(0.0341, abs=5e-5) == CORRECT


@pytest.mark.parametrize(
    ("q", "least", "decides", "p"),
    [
        ([0.01], 1, 0, 0.02),
        ([0.99], 1, 0, 0.02),
        ([0.5], 1, 0, 1.0),
        ([0.01, 0.2, 0.03], 3, 1, 0.4),  # 2 · 1 · 0.2
        ([0.01, 0.2, 0.03], 2, 2, 0.12),  # 2 · 2 · 0.03
        ([0.01, 0.2, 0.03], 1, 0, 0.06),  # 2 · 3 · 0.01
        ([0.99, 0.5, 0.999], 3, 2, 0.006),  # one below rules all three out: 2 · 3 · 0.001
        ([0.99, 0.5, 0.999], 2, 0, 0.04),  # two below rule two out: 2 · 2 · 0.01
        ([0.99, 0.5, 0.999], 1, 1, 1.0),
    ],
)
def test_conjunction_by_hand(q, least, decides, p):
    found = conjunction(q, least)
    assert found == (decides, pytest.approx(p))


@pytest.mark.parametrize(("true", "least"), [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)])
def test_conjunction_is_wrong_in_five_percent_at_most(true, least):
    """Of three judges ``true`` lie far above, fewer than ``least``, the others at 0: any p ≤ 0.05 says too much."""
    drawn = np.random.default_rng(3).uniform(size=(20_000, 3))
    drawn[:, :true] = 0
    wrong = np.mean([conjunction(q, least)[1] <= 0.05 for q in drawn.tolist()])
    print(f"{true} true, {least} needed: {wrong:.4f}")
    assert wrong <= 0.053


def test_a_claim_without_metrics_is_the_first_judges(tmp_path):
    found = one(Claim("a", ONE, None), shop_of(tmp_path))
    assert (found.by, found.least, found.decides, found.seeds) == (("utility",), 1, "utility", 5)
    assert found.p == pytest.approx(UTILITY)
    assert found.here == "holds"
    assert {name: each.value for name, each in found.differences.items()} == {"utility": 1.2, "correct": 1.0}


def test_all_must_agree(tmp_path):
    """The larger p decides. The other way round it takes one that lies below, at twice the smaller p."""
    shop = shop_of(tmp_path)
    found = one(Claim("a", ONE, None, metrics=("HPS", "CLIP")), shop)
    assert (found.by, found.least, found.decides) == (("utility", "correct"), 2, "correct")
    assert found.p == pytest.approx(CORRECT)
    assert found.here == "holds"
    turned = one(Claim("a", None, ONE, metrics=("HPS", "CLIP")), shop)
    assert turned.decides == "utility"
    assert turned.p == pytest.approx(2 * UTILITY)
    assert turned.here == "does not hold: the other way round"


def test_one_that_does_not_agree_is_enough(tmp_path):
    found = one(
        Claim("a", ONE, None, metrics=("HPS", "CLIP")), shop_of(tmp_path, {**GAINS, "correct": (1, -1, 0, 1, -1)})
    )
    assert (found.decides, found.p, found.here) == ("correct", 1.0, "not distinguishable")


def test_a_share_of_them_must_agree(tmp_path):
    """Half of two is one: twice the smaller p. Two thirds of two are more than one, of three two, of four three."""
    shop = shop_of(tmp_path)
    found = one(Claim("a", ONE, None, metrics=("HPS", "CLIP"), share=0.5), shop)
    assert (found.least, found.decides, found.p) == (1, "utility", pytest.approx(2 * UTILITY))
    assert one(Claim("a", ONE, None, metrics=("HPS", "CLIP"), share=2 / 3), shop).least == 2


@pytest.mark.parametrize(("judges", "least"), [(1, 1), (2, 2), (3, 2), (4, 3), (6, 4)])
def test_two_thirds(tmp_path, judges, least):
    names = [f"judge {number}" for number in range(judges)]
    shop = by_hand(tmp_path, judges=[Judge(name, name) for name in names])
    write_base(shop, dict.fromkeys(names, BASE))
    write_arm(shop, ONE, 0, dict.fromkeys(names, BASE))
    assert one(Claim("a", ONE, None, metrics=tuple(names), share=2 / 3), shop).least == least


def test_holm_counts_claims_that_have_not_run(tmp_path):
    """p = 0.0341 alone; twice that is too much where a second claim waits for its arm."""
    shop = shop_of(tmp_path, {"utility": GAINS["correct"], "correct": GAINS["correct"]})
    claim = Claim("a", ONE, None)
    assert one(claim, shop).here == "holds"
    (found,) = judged([claim, Claim("b", TWO, None)], Results(shop), "world")
    assert (found.claim, found.p) == (claim, pytest.approx(2 * CORRECT))
    assert found.here == "not distinguishable"


def test_a_margin_is_a_part_of_the_bases_deviation(tmp_path):
    """Deviation of 0, 1, 2, 3 is √1.25, a tenth of it 0.1118. The arm lies 0.05 below, surely, but within that."""
    shop = shop_of(tmp_path, {"utility": (-0.05, -0.06, -0.04, -0.05, -0.05), "correct": (0,) * 5})
    claim = Claim("as good", ONE, None, margin=0.1)
    found = one(claim, shop)
    assert found.margins == {"utility": pytest.approx(0.1 * math.sqrt(1.25))}
    assert found.p == pytest.approx(p4((0.1 * math.sqrt(1.25) - 0.05) / math.sqrt(0.00005 / 5)))
    assert (found.here, round(found.differences["utility"].value, 9)) == ("holds", -0.05)
    assert one(Claim("better", ONE, None), shop).here == "does not hold: the other way round"
    assert one(Claim("as good", ONE, None, margin=0.01), shop).here == "does not hold: the other way round"


def test_few_seeds_and_one(tmp_path):
    shop = by_hand(tmp_path)
    write_base(shop, dict.fromkeys(GAINS, BASE))
    for seed, arms in enumerate([(ONE, TWO), (ONE,), (ONE,), (ONE,)]):
        for arm in arms:
            write_arm(shop, arm, seed, {name: [low + 1 for low in BASE] for name in GAINS})
    found = judged([Claim("a", ONE, None), Claim("b", TWO, ONE), Claim("c", THREE, None)], Results(shop), "world")
    assert [(each.claim.says, each.seeds, each.here) for each in found] == [
        ("a", 4, "too few seeds (4) to say"),
        ("b", 1, "too few seeds (1) to say"),
    ]
    assert found[1].p == 1
    assert found[1].differences["utility"] == Interval(0.0, -math.inf, math.inf)


def test_judges_are_those_of_the_papers_metrics(tmp_path):
    """Those that are there; of several that are not all stand in, of one the first."""
    judges = [Judge(name, name) for name in ("PickScore", "HPSv2", "CLIP")]
    profile = by_hand(tmp_path, judges=judges).profile

    def names(*metrics):
        return [judge.name for judge in judges_of(Claim("a", ONE, None, metrics=metrics), profile)]

    assert names() == ["PickScore"]
    assert names("CLIP") == ["CLIP"]
    assert names("CLIP", "HPSv2", "Aesthetic") == ["HPSv2", "CLIP"]
    assert names("Aesthetic", "ImageReward") == ["PickScore", "HPSv2", "CLIP"]
    assert names("Aesthetic") == ["PickScore"]


def test_what_is_written(tmp_path):
    found = one(Claim("a", ONE, None, "ours", margin=0.1), shop_of(tmp_path))
    assert found.plain["whose"] == "ours"
    assert found.plain["margins"] == {"utility": pytest.approx(0.1 * math.sqrt(1.25))}
    assert found.plain["differences"]["correct"]["value"] == 1.0
    rows = list(tidy_claims([found]))
    assert [(row["judge"], row["figure"]) for row in rows] == [
        ("utility", "claim"),
        ("correct", "claim"),
        ("utility", "p (Holm)"),
    ]
    assert rows[-1]["value"] == found.p
