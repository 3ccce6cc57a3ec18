"""Pairs that a run has read: in all, distinct ones, of how many."""

from __future__ import annotations

import pytest

from support.reproduced import by_hand
from tastemaker.base.files import write_json
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.samples import Samples, percent, samples

BEST, DRAWN = Arm("world", Pairs("best", "world", 0.3)), Arm("world", Pairs("random", share=0.3))


def ran(shop, arm, seed, read, kept):
    write_json(shop.place(arm, seed) / "run" / "summary.json", {"pairs_seen": read})
    write_json(shop.pairs(arm.pairs, seed).out, {"kept": kept})


def test_by_hand(tmp_path):
    """1,920 of 2,956 pairs once each; 887 pairs twice and some a third time."""
    shop = by_hand(tmp_path)
    write_json(shop.pairs(Pairs(), 0).out, {"kept": 2956})
    ran(shop, Arm("world"), 1, 1920, 2956)
    ran(shop, BEST, 0, 1920, 887)
    ran(shop, DRAWN, 2, 600, 887)
    assert samples(shop, Arm("world"), 1) == Samples(1920, 1920, 2956)
    assert samples(shop, BEST, 0) == Samples(1920, 887, 2956)
    assert samples(shop, DRAWN, 2) == Samples(600, 600, 2956)
    assert Samples(1920, 887, 2956).shown == ("1,920", "887 (30 %)")


@pytest.mark.parametrize("gone", ["run", "own", "whole"])
def test_what_is_gone_is_not_guessed(tmp_path, gone):
    shop = by_hand(tmp_path)
    write_json(shop.pairs(Pairs(), 0).out, {"kept": 2956})
    ran(shop, BEST, 0, 1920, 887)
    places = {"run": shop.place(BEST, 0) / "run" / "summary.json", "own": shop.pairs(BEST.pairs, 0).out}
    {**places, "whole": shop.pairs(Pairs(), 0).out}[gone].unlink()
    assert samples(shop, BEST, 0) is None


def test_percent():
    assert [percent(share) for share in (1.0, 0.0533, 0.106, 0.16, 1 / 3)] == [
        "100 %",
        "5.33 %",
        "10.6 %",
        "16 %",
        "33.3 %",
    ]
