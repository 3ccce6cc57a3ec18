"""What autograd keeps: flat step by step, growing through the chain, and a device that is too small."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tastemaker.base.files import write_json
from tastemaker.cli.scorers import build
from tastemaker.reproduce import d3po_peaks, online, world_profile
from tastemaker.reproduce.d3po_memory import Memory, grows
from tastemaker.reproduce.d3po_peaks import ALL, CHAIN, FOUR, ONE, Alive, measure
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop


def test_what_is_kept_by_hand() -> None:
    """x² keeps x, 3 × 4 bytes; y·z keeps both, 24 more; let go of, nothing is left."""
    x = torch.ones(3, requires_grad=True)
    with Alive() as alive:
        y = x.pow(2)
        assert alive.now == 12
        z = (y * x).sum()
        assert (alive.now, alive.most) == (36, 36)
        z.backward()
        del y, z
    assert (alive.now, alive.most) == (0, 36)


@pytest.mark.slow
def test_only_the_chain_grows() -> None:
    found = measure(online.world()["people"], build, (2, 4))
    peaks = found["peaks"]
    assert peaks[ONE][0] == peaks[ONE][1] > 0
    assert peaks[FOUR] == peaks[ALL], "two and four steps, all of them at once"
    assert peaks[ONE][0] < peaks[ALL][0] < peaks[ALL][1]
    assert peaks[CHAIN][1] == pytest.approx(2 * peaks[CHAIN][0], rel=0.02)
    assert peaks[CHAIN][0] > peaks[ALL][0]


def test_a_device_that_is_too_small_is_told_by_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(made) -> None:
        raise torch.OutOfMemoryError("none left")

    monkeypatch.setattr(d3po_peaks, "chain", full)
    found = measure(online.world()["people"], build, (1,))
    assert found["peaks"][CHAIN] == [None]
    assert found["peaks"][ONE][0] > 0


def peaks(one: list[int | None], chain: list[int | None]) -> dict:
    return {"steps": [5, 10, 20], "rank": 16, "device": "cpu", "peaks": {ONE: one, FOUR: one, ALL: one, CHAIN: chain}}


@pytest.mark.parametrize(
    ("one", "chain", "says"),
    [
        ([7, 7, 7], [10, 20, 40], "while the chain's grows with it, holds here"),
        ([1000, 1010, 1000], [10, 20, 40], "grows with it, holds here"),
        ([1000, 1011, 1000], [10, 20, 40], "grows with it, does not hold here"),
        ([7, 7, 7], [10, 10, 10], "grows with it, does not hold here"),
        ([7, 7, 7], [100, 200, 320], "grows with it, holds here"),
        ([7, 7, 7], [100, 200, 319], "grows with it, does not hold here"),
        ([7, 7, 7], [10, 20, None], "grows 2.0 times from 5 to 10 steps, 2 times as many"),
        ([7, 7, 7], [10, 20, 40], "grows 4.0 times from 5 to 20 steps, 4 times as many"),
        ([7, None, None], [10, None, None], "nothing is said"),
        ([7, 7, 7], [10, None, None], "nothing is said"),
        ([7, 7, 7], [None, None, None], "nothing is said"),
    ],
)
def test_the_sentence(one: list[int | None], chain: list[int | None], says: str) -> None:
    assert says in grows(peaks(one, chain))


def test_the_part_of_the_page(tmp_path: Path) -> None:
    results = Results(Shop(tmp_path, world_profile.profile(), build))
    assert Memory().write(results, tmp_path) == ""
    (stage,) = Memory().stages(results.shop, (0, 1))
    (tmp_path / "d3po").mkdir()
    write_json(stage.out, peaks([7_000_000] * 3, [10_000_000, 1_862_400_000, None]))
    text = Memory().write(results, tmp_path)
    assert "one step at once it is 7 MB; through" in text
    assert f"| {CHAIN} | 10 | 1,862 | does not fit |" in text
    assert f"| {ONE} | 7 | 7 | 7 |" in text
    assert (tmp_path / "memory.png").is_file()
    assert (tmp_path / "memory.json").is_file()
