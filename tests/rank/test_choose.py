"""Order and cut: by hand, invariances, what is refused, speed."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tastemaker.base.errors import UserError
from tastemaker.rank.choose import Cut, best_first, choose, random_order

QUALITY = np.array([0.2, 0.9, 0.5, 0.5, 0.1])
NAMES = ["p", "q", "s", "r", "t"]


def names(indices: np.ndarray) -> str:
    return "".join(NAMES[index] for index in indices)


def test_best_first_and_equal_quality_by_pair_id() -> None:
    assert names(best_first(QUALITY, NAMES)) == "qrspt"  # r before s although s stands first


@pytest.mark.parametrize(
    ("cut", "kept", "left"),
    [
        (Cut(), "qrspt", ""),
        (Cut(fraction=0.4), "qr", "spt"),
        (Cut(fraction=0.5), "qrs", "pt"),  # 2.5 pairs: the nearest whole number, half upwards
        (Cut(fraction=0.01), "q", "rspt"),  # never none
        (Cut(fraction=1), "qrspt", ""),
        (Cut(count=3), "qrs", "pt"),
        (Cut(min_quality=0.5), "qrs", "pt"),  # the limit itself is kept
        (Cut(min_quality=0.0), "qrspt", ""),
    ],
)
def test_the_cut_by_hand(cut: Cut, kept: str, left: str) -> None:
    first, second = choose(QUALITY, NAMES, cut)
    assert (names(first), names(second)) == (kept, left)


def test_the_published_cut_of_pick_a_pic() -> None:
    """5.33 % of 959.5 k pairs are the paper's 51.2 k (400 steps of 128), to its two decimals."""
    n = 959_500
    kept, left = choose(np.linspace(0, 1, n), np.arange(n).astype(str), Cut(fraction=0.0533))
    assert len(kept) == 51_141
    assert len(kept) + len(left) == n


def test_shuffled_rows_give_the_same_order() -> None:
    rng = np.random.default_rng(1)
    quality = rng.integers(0, 20, 500) / 20  # many ties
    ids = np.array([f"pair-{i}" for i in range(500)])
    shuffle = rng.permutation(500)
    for cut in (Cut(count=123), Cut(count=123, order="random", seed=3)):
        for one, other in zip(choose(quality, ids, cut), choose(quality[shuffle], ids[shuffle], cut), strict=True):
            assert ids[one].tolist() == ids[shuffle][other].tolist()


def test_a_random_order_is_a_permutation_that_its_seed_draws() -> None:
    ids = [f"pair-{i}" for i in range(1000)]
    one, again, other = random_order(ids, 0), random_order(ids, 0), random_order(ids, 1)
    assert sorted(one) == list(range(1000))
    assert one.tolist() == again.tolist() != other.tolist()
    assert abs(np.corrcoef(one, np.arange(1000))[0, 1]) < 0.1
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


def test_a_random_order_does_not_notice_other_pairs() -> None:
    ids = [f"pair-{i}" for i in range(200)]
    order = [ids[i] for i in random_order(ids, 5)]
    assert [ids[:100][i] for i in random_order(ids[:100], 5)] == [name for name in order if name in set(ids[:100])]


def test_a_random_subset_does_not_look_at_quality() -> None:
    kept, left = choose(QUALITY, NAMES, Cut(count=2, order="random", seed=0))
    again, _ = choose(QUALITY[::-1], NAMES, Cut(count=2, order="random", seed=0))
    assert names(kept) == names(again)
    assert names(left) == "".join(name for name in "qrspt" if name not in names(kept))  # still best first


def test_random_order_with_a_limit_on_quality() -> None:
    kept, left = choose(QUALITY, NAMES, Cut(min_quality=0.5, order="random", seed=2))
    assert set(names(kept)) == set("qrs")
    assert names(left) == "pt"
    assert names(kept) == "".join(NAMES[i] for i in random_order(NAMES, 2) if NAMES[i] in "qrs")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fraction": 0.3, "count": 5}, "--fraction and --count: they exclude each other"),
        ({"count": 5, "min_quality": 0.1}, "--count and --min-quality"),
        ({"fraction": 0.0}, "--fraction 0.0: must be above 0"),
        ({"fraction": 30.0}, "--fraction 30.0: must be .* at most 1"),
        ({"fraction": float("nan")}, "--fraction nan"),
        ({"count": 0}, "--count 0: must be at least 1"),
        ({"min_quality": -0.1}, "--min-quality -0.1"),
        ({"min_quality": float("nan")}, "--min-quality nan"),
        ({"order": "best"}, "--order best"),
    ],
)
def test_an_impossible_cut_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Cut(**wrong)


def test_a_cut_that_the_data_cannot_give_is_refused() -> None:
    with pytest.raises(UserError, match="--count 6: only 5 can be ranked"):
        choose(QUALITY, NAMES, Cut(count=6))
    with pytest.raises(UserError, match=r"--min-quality 0.95: none reaches it, the best has 0.9000"):
        choose(QUALITY, NAMES, Cut(min_quality=0.95))
    with pytest.raises(UserError, match="no pair with a winner and both scores"):
        choose(np.array([]), [], Cut())


def test_speed() -> None:
    """A million pairs in two seconds: 200 k in 0.4 s of processor time, with room for a busy machine."""
    n = 200_000
    rng = np.random.default_rng(0)
    quality, ids = np.round(rng.random(n), 3), np.array([f"{i:064x}" for i in rng.permutation(n)])
    started = time.process_time()
    kept, _ = choose(quality, ids, Cut(fraction=0.3))
    assert time.process_time() - started < 0.8
    assert np.all(np.diff(quality[kept]) <= 0)
