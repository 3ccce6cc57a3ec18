"""Simulated raters: the rules find the bad ones, and the win rate's interval covers the truth.

A study: 60 pairs, 20 gold items, 20 repetitions of the first 20 pairs. Twelve raters answer these twenty, the gold and
the repetitions; of the other 40 pairs each is answered by five of them, drawn. Nine are honest (they say the truth
but for an error of 0.1), one is noisy (0.3), one always takes the left image, one takes any.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.stats import binom

from tastemaker.base import draw
from tastemaker.study.exclusion import Rules
from tastemaker.study.resample import Bootstrap
from tastemaker.study.results import Results, results
from tastemaker.study.vote import Image, Item, Vote

SEEDS = 20
PAIRS, COMMON, GOLD = 60, 20, 20
HONEST, NOISY = 0.1, 0.3
ERRORS = {f"honest-{i}": HONEST for i in range(9)} | {"noisy": NOISY, "random": 0.5}
LEFT, BAD = "left", {"left", "random"}
TRUTH = 0.65
"""The probability that the tuned model's image is the better one."""
RULES = Rules(gold_missed=0.4, self_disagreement=0.5, one_side=0.85, majority_agreement=0.65)
IMAGES = (Image("s0", "tuned"), Image("s1", "base"))


def rare(expected_seeds: float, failures: int) -> bool:
    """Whether more than ``failures`` of `SEEDS` would surprise, each failing with at most this probability."""
    return bool(binom.sf(failures, SEEDS, expected_seeds) < 1e-3)


@cache
def study(seed: int) -> Results:
    numbers = draw.numbers(seed, "simulated study")
    better = (numbers.random(PAIRS) >= TRUTH).astype(int)
    known = numbers.integers(0, 2, GOLD)
    items = [Item(id=i, kind="pair", prompt=f"p{i}", images=IMAGES) for i in range(PAIRS)]
    items += [Item(id=PAIRS + i, kind="pair", prompt=f"g{i}", images=IMAGES, gold=int(known[i])) for i in range(GOLD)]
    items += [items[i].model_copy(update={"id": PAIRS + GOLD + i, "repeats": i}) for i in range(COMMON)]
    truth = np.concatenate([better, known, better[:COMMON]])
    raters = [*ERRORS, LEFT]
    votes = []
    for item in items:
        few = COMMON <= item.id < PAIRS
        for rater in numbers.permutation(raters)[: 5 if few else len(raters)].tolist():
            shown = (0, 1) if numbers.random() < 0.5 else (1, 0)
            said = int(truth[item.id]) ^ int(numbers.random() < ERRORS.get(rater, 0))
            votes.append(Vote(rater, item.id, "preference", shown[0] if rater == LEFT else said, 4, 1, shown=shown))
    return results(items, votes, RULES, bootstrap=Bootstrap(resamples=400, seed=seed))


def excluded(seed: int) -> set[str]:
    return {finding.rater for finding in study(seed).excluded}


def test_the_one_who_always_takes_the_left_is_always_found() -> None:
    """All of some 70 choices on one side; the limit is 0.85."""
    assert all(LEFT in excluded(seed) for seed in range(SEEDS))
    assert all("one_side" in {f.rule for f in study(seed).excluded if f.rater == LEFT} for seed in range(SEEDS))


def test_the_one_who_takes_any_is_found() -> None:
    """He passes with at most 8 of 20 gold missed, 10 of 20 repetitions changed, and 13 or more of 20 with the majority.

    These three are independent of each other, coins all; one side and the further pairs only make it harder.
    """
    passes = binom.cdf(8, GOLD, 0.5) * binom.cdf(10, COMMON, 0.5) * binom.sf(12, COMMON, 0.5)
    missed = sum("random" not in excluded(seed) for seed in range(SEEDS))
    assert rare(passes, 3)
    assert missed <= 3


def test_the_honest_stay() -> None:
    """The probability that any of nine breaks any rule, by the union bound; a majority of ten errs in under 1 %."""
    again = 2 * HONEST * (1 - HONEST)
    gold, repeats = binom.sf(8, GOLD, HONEST), binom.sf(10, COMMON, again)
    others = binom.cdf(12, COMMON, (1 - HONEST) * 0.98)
    breaks = 9 * (gold + repeats + others + 2 * binom.sf(59, 70, 0.5))
    assert rare(breaks, 3)
    assert sum(any(name.startswith("honest") for name in excluded(seed)) for seed in range(SEEDS)) <= 3


def test_the_interval_covers_the_truth() -> None:
    """Of 20 intervals that are to cover 0.95 and, by resampling 60, cover at least 0.92, at most six miss.

    Majorities of five who err in 0.1 are wrong in 0.9 % (Σ_{k≥3} of Bin(5, 0.1)): 0.65 becomes 0.647.
    """
    rates = [study(seed).after[0].win_rates[0] for seed in range(SEEDS)]
    wilson = sum(not each.rate.wilson_low <= 1 - TRUTH <= each.rate.wilson_high for each in rates)
    cluster = sum(not each.rate.low <= 1 - TRUTH <= each.rate.high for each in rates)
    assert all((each.a, each.b) == ("base", "tuned") for each in rates)
    assert rare(0.08, 6)
    assert max(wilson, cluster) <= 6


def test_exclusion_lets_the_others_agree_better() -> None:
    """Two honest raters agree in 0.82, an honest and a random one in 0.5: alpha rises in every study."""
    for seed in range(SEEDS):
        before, after = (stage[0].agreement.alpha.value for stage in (study(seed).before, study(seed).after))
        assert after > before


def test_the_share_of_votes_goes_to_what_the_honest_say() -> None:
    """Honest votes give base 0.35·0.9 + 0.65·0.1 = 0.38 of the share; with the bad ones it is drawn to a half.

    A mean of 20 studies of 60 pairs has a standard error of 0.8·√(0.35·0.65/1200) = 0.011, the noise of votes aside;
    the noisy rater among ten moves the mean by (0.5 − 0.38)·0.5/10 = 0.006.
    """
    before, after = (
        np.mean([getattr(study(seed), stage)[0].win_rates[0].share.value for seed in range(SEEDS)])
        for stage in ("before", "after")
    )
    assert abs(after - 0.38) < 0.006 + 3 * 0.012
    assert abs(before - 0.5) < abs(after - 0.5)
