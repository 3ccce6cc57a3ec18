"""Who leads, by hand: all others are compared, on common seeds, after Holm, without the seeds that screened.

Scores lie ``gain`` above the base on every prompt, so prompts add nothing to an interval, and with five seeds

    p(t) = 1 − ¾ · u · (1 − t² / (12 + 3 t²)),   u = t / √(1 + t²/4)        (Student's t with 4 degrees, two-sided)
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from support.grids import DDE, DPO, DRAWN, IPO, shop_with_base, write_gains
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.leader import contest, leader, screening
from tastemaker.reproduce.results import Results

ARMS = [DPO, IPO, DDE, DRAWN]
FLAT = [0.0] * 5
STEPS = [-0.2, -0.1, 0.0, 0.1, 0.2]
"""s² = 0.025, so the mean of five has the error √(0.025 / 5) = 0.0707."""


@pytest.fixture
def shop(tmp_path):
    return shop_with_base(tmp_path)


def p_of(t: float) -> float:
    u = t / math.sqrt(1 + t * t / 4)
    return 1 - 0.75 * u * (1 - t * t / (12 + 3 * t * t))


def around(mean: float, steps: list[float]) -> list[float]:
    return [mean + step for step in steps]


def test_the_third_may_be_the_obstacle(shop):
    """1.00, 0.95, and 0.94 ± 0.3 a seed: 0.06 with the error √(0.225 / 5) = 0.2121, t = 0.2828, p = 0.791."""
    write_gains(shop, DPO, around(1.0, FLAT))
    write_gains(shop, IPO, around(0.95, FLAT))
    write_gains(shop, DDE, around(0.94, [3 * step for step in STEPS]))
    text = leader(Results(shop), ARMS)
    assert p_of(0.2828) == pytest.approx(0.791, abs=5e-4)
    assert text.startswith(
        f"None of 3 candidates is named best: `{DPO.name}` is highest, but not distinguishable from 1 of the other 2 "
        f"(Holm, p > 0.05): `{DDE.name}` (by +0.060 (-0.529 to +0.649), p 0.791)."
    )
    write_gains(shop, DDE, around(0.94, FLAT))
    assert leader(Results(shop), ARMS).startswith(f"`{DPO.name}` leads 3 candidates: it lies above every other")


def test_p_is_of_all_comparisons(shop):
    """Three others, each 3 errors below: p = 0.0399 alone, 3 · 0.0399 after Holm."""
    write_gains(shop, DPO, around(1.0, FLAT))
    write_gains(shop, IPO, around(1 - 3 * math.sqrt(0.005), STEPS))
    assert p_of(3) == pytest.approx(0.0399, abs=5e-5)
    text = leader(Results(shop), ARMS)
    assert text.startswith(f"`{DPO.name}` leads 2 candidates: it lies above every other (Holm over 1, p ≤ 0.04)")
    assert f"the least surely above `{IPO.name}` (by +0.212 (+0.016 to +0.408), p 0.040)." in text
    for arm in (DDE, DRAWN):
        write_gains(shop, arm, around(1 - 3 * math.sqrt(0.005), STEPS))
    text = leader(Results(shop), ARMS)
    assert "None of 4 candidates is named best" in text
    assert "not distinguishable from 3 of the other 3" in text
    assert text.count("p 0.120") == 3


def test_the_least_sure_is_named_and_not_the_closest(shop):
    """0.10 below without spread, 0.50 below with a wide one."""
    write_gains(shop, DPO, around(1.0, FLAT))
    write_gains(shop, IPO, around(0.9, FLAT))
    write_gains(shop, DDE, around(0.5, STEPS))
    assert f"the least surely above `{DPO.name}`" not in leader(Results(shop), ARMS)
    assert f"the least surely above `{IPO.name}` (by +0.100" in leader(Results(shop), ARMS)
    write_gains(shop, DDE, around(0.75, STEPS))
    assert f"the least surely above `{DDE.name}` (by +0.250" in leader(Results(shop), ARMS)


def test_numbers_of_seeds_may_differ(shop):
    """The winner has five seeds, others six and seven: five are common, and a cell is not lost for having fewer."""
    write_gains(shop, DPO, [1.0] * 7)
    write_gains(shop, IPO, [0.5] * 6)
    write_gains(shop, DDE, [5.0] * 5)
    text = leader(Results(shop), ARMS)
    assert text.startswith(f"`{DDE.name}` leads 3 candidates")
    assert text.endswith("Candidates are the combinations with 5 seeds or more, compared on seeds 0, 1, 2, 3, 4.")


def test_seeds_that_not_all_have_say_nothing(shop):
    """IPO's seed 5 would make it the highest."""
    write_gains(shop, DPO, [1.0] * 5)
    write_gains(shop, IPO, [0.5] * 5 + [90.0])
    assert leader(Results(shop), ARMS).startswith(f"`{DPO.name}` leads")


def test_the_screening_seed_has_no_say(shop):
    """Seed 0 gave IPO 9; on the others it lies 0.5 below DPO. Without cells of one seed nothing was screened."""
    write_gains(shop, DPO, [1.0] * 5)
    write_gains(shop, IPO, [9.0, 0.5, 0.5, 0.5, 0.5])
    unscreened = leader(Results(shop), ARMS)
    assert "None of 2 candidates is named best" in unscreened
    assert "screened" not in unscreened
    write_gains(shop, DDE, [0.2])
    text = leader(Results(shop), ARMS)
    assert text.startswith(f"`{DPO.name}` leads 2 candidates")
    assert "compared on seeds 1, 2, 3, 4. 3 combinations were screened with seed 0 first" in text


def test_screening_seeds_are_those_of_the_cells_with_fewest():
    """A cell that is on its way to five has more than the screen; with five everywhere nothing was screened."""
    assert screening({DPO: [0, 1, 2, 3, 4], IPO: [0], DDE: [0, 1, 2]}) == {0}
    assert screening({DPO: [0, 1, 2, 3, 4], IPO: [0, 1], DDE: [0, 2]}) == {0, 1, 2}
    assert screening({DPO: [0, 1, 2, 3, 4], IPO: [0, 1, 2, 3, 4, 5]}) == set()
    assert screening({}) == set()


@pytest.mark.parametrize(
    ("gains", "says"),
    [
        ([], "Screening: of 0 combinations none has run with 5 seeds. No order is claimed."),
        ([[9.0], [1.0]], "Screening: of 2 combinations none has run with 5 seeds. No order is claimed."),
        ([[9.0] * 4, [1.0] * 4], "Screening: of 2 combinations none has run with 5 seeds. No order is claimed."),
        (
            [[1.0] * 5, [9.0] * 4],
            f"Screening: of 2 combinations only `{DPO.name}` has run with 5 seeds. No order is claimed.",
        ),
    ],
)
def test_below_five_seeds_all_is_a_screening(shop, gains, says):
    for arm, some in zip(ARMS, gains, strict=False):
        write_gains(shop, arm, some)
    assert leader(Results(shop), ARMS) == says


@pytest.mark.parametrize(
    ("seeds", "share"), [(range(2, 7), "seeds 2, 3, 4"), (range(4, 9), "seed 4"), (range(5, 10), "no seed")]
)
def test_too_few_common_seeds_are_not_compared(shop, seeds, share):
    write_gains(shop, DPO, [1.0] * 5)
    write_gains(shop, IPO, dict.fromkeys(seeds, 0.5))
    assert leader(Results(shop), ARMS) == (
        f"2 combinations have run with 5 seeds or more, but share {share}: too few to compare them."
    )


def test_four_seeds_of_screening_leave_too_few(shop):
    write_gains(shop, DPO, [1.0] * 5)
    write_gains(shop, IPO, [0.5] * 5)
    write_gains(shop, DDE, [0.5] * 4)
    assert leader(Results(shop), ARMS) == (
        "2 combinations have run with 5 seeds or more, but share seeds 0, 1, 2, 3, 4, of which seeds 0, 1, 2, 3 "
        "screened: too few to compare them."
    )


def test_many_that_are_not_distinguishable_are_counted(shop):
    """Eleven a little below the highest: eight by name, the closest first."""
    arms = [Arm("world", Pairs("random", share=0.01 * k)) for k in range(1, 13)]
    for k, arm in enumerate(arms):
        write_gains(shop, arm, around(1 - 0.001 * k, STEPS if k else FLAT))
    text = leader(Results(shop), arms)
    assert "None of 12 candidates" in text
    assert "not distinguishable from 11 of the other 11" in text
    assert ", and 3 more. Candidates" in text
    places = [text.find(f"`{arm.name}` (by") for arm in arms]
    assert places[1:9] == sorted(places[1:9])
    assert min(places[1:9]) > 0
    assert places[9:] == [-1, -1, -1]


@pytest.mark.parametrize(("below", "least", "most"), [(0.0, 0.0, 0.05), (20.0, 0.01, 0.07)])
def test_equals_are_rarely_named(below, least, most):
    """Two equal arms and four ``below`` them, 5 seeds, 20 prompts: how often one is named best, of 400 trials."""
    random, named = np.random.default_rng(3), 0
    arms = [Arm("world", Pairs("random", share=0.1 * k)) for k in range(1, 7)]
    profile = SimpleNamespace(judges=[SimpleNamespace(name="utility")])
    for _ in range(400):
        drawn = {arm: random.normal(0, 1, (5, 1)) + random.normal(0, 0.2, (5, 20)) for arm in arms}
        for arm in arms[2:]:
            drawn[arm] -= below
        results = SimpleNamespace(shop=SimpleNamespace(profile=profile), scores=lambda arm, *_, d=drawn: d[arm])
        named += not contest(results, arms, range(5)).open
    print(f"named with four {below} below: {named / 400:.3f}")
    assert least <= named / 400 <= most
