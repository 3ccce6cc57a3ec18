"""DDE's gains as shares of the base's mean, and the paper's beside them."""

from __future__ import annotations

import json

from support.reproduced import by_hand, write_arm, write_base
from tastemaker.reproduce import published
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.dde_gains import METRICS, Gains
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.results import Results

DDE = Arm("world", credit="dde")
TABLE = Gains("gains", "dde", "Gains", "world", DDE)
JUDGES = [Judge("clip", "CLIP"), Judge("hpsv2", "HPSv2", scale=100.0), Judge("imagereward", "ImageReward")]


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


def test_by_hand(tmp_path):
    """CLIP 0.3 → 0.33 and 0.36 over two seeds: +10 % and +20 %; t₁ · √(0.005/2) = 63.5 %. HPSv2 0.2 → 0.21: +5 %."""
    shop = by_hand(tmp_path, 2, JUDGES)
    write_base(shop, {"CLIP": [0.2, 0.4], "HPSv2": [0.2, 0.2], "ImageReward": [-0.2, 0.1]})
    for seed, clip in enumerate((0.03, 0.06)):
        write_arm(
            shop,
            DDE,
            seed,
            {"CLIP": [0.2 + clip, 0.4 + clip], "HPSv2": [0.21, 0.21], "ImageReward": [0.0, 0.3]},
        )
    found = rows(TABLE.write(Results(shop), tmp_path))
    assert found["metric"] == ["base", "DDE's gain (95 %)", "published SD1.5", "published SDXL"]
    assert found["CLIP"] == ["0.300", "+15.0% (-48.5% to +78.5%)", "+6.7%", "+1.4%"]
    assert found["HPSv2"] == ["20.000", "+5.0% (+5.0% to +5.0%)", "+3.9%", "+1.0%"]
    assert found["ImageReward"] == ["-0.050", "–", "", ""]
    assert found["PickScore (no judge here)"] == ["", "", "+3.3%", "+3.1%"]
    kept = json.loads((tmp_path / "gains.json").read_text())
    assert kept["seeds"] == [0, 1]
    assert [each["judge"] for each in kept["gains"]] == ["CLIP", "HPSv2", "ImageReward"]


def test_nothing_before_it_has_run(tmp_path):
    shop = by_hand(tmp_path, 2, JUDGES)
    write_arm(shop, DDE, 0, {"CLIP": [1, 1], "HPSv2": [1, 1], "ImageReward": [1, 1]})
    assert TABLE.write(Results(shop), tmp_path) == ""
    assert not list(tmp_path.glob("gains*"))


def test_it_shows_all_that_is_published():
    assert all(set(gains) == set(METRICS.values()) for gains in published.DDE_GAINS.values())
    assert set(METRICS) == set(published.DDE_METRICS)


def test_stages_are_those_of_the_arm(tmp_path):
    names = [stage.name for stage in TABLE.stages(by_hand(tmp_path), (0, 1))]
    assert names == ["score world base", f"score {DDE.name} seed 0", f"score {DDE.name} seed 1"]
