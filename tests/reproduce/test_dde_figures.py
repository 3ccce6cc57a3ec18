"""Beat ratios of known scores, figures as files of their own, and the credit of a real, very short run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from support.reproduced import by_hand, small_profile, write_arm, write_base
from tastemaker.cli.scorers import build
from tastemaker.method.method import Method
from tastemaker.report.credit import Entry, Recorded
from tastemaker.reproduce import dde
from tastemaker.reproduce import dde_figures as module
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.dde_figures import beat, say_effective, say_middle, together, where
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import carry_out, ordered
from tastemaker.reproduce.world_profile import profile

UNIFORM, SINGLE = Arm("world"), Arm("world", credit="dde-single")


def exhibit(key):
    return next(each for each in dde.exhibits(profile()) if each.key == key)


@pytest.fixture
def shop(tmp_path):
    """Utility ties within 0.02; seed 0 of uniform wins, ties, loses and wins, seed 1 wins all."""
    made = by_hand(tmp_path)
    write_base(made, {"utility": [0.5] * 4, "correct": [0, 0, 1, 1]})
    write_arm(made, UNIFORM, 0, {"utility": [0.6, 0.51, 0.4, 0.9], "correct": [1, 1, 1, 1]})
    write_arm(made, UNIFORM, 1, {"utility": [0.6] * 4, "correct": [0, 0, 0, 0]})
    return made


def test_beat_ratios_by_hand(shop):
    """Utility (1 + ½ + 0 + 1)/4 and 1: 0.8125. Correct: (1 + 1 + ½ + ½)/4 and (½ + ½ + 0 + 0)/4: 0.5."""
    assert beat(Results(shop), UNIFORM, "utility").value == pytest.approx(0.8125)
    found = beat(Results(shop), UNIFORM, "correct")
    assert found.value == pytest.approx(0.5)
    assert found.low >= 0
    assert found.high <= 1


def test_the_table_of_beat_ratios(shop, tmp_path):
    text = exhibit("beats").write(Results(shop), tmp_path)
    (line,) = [line for line in text.splitlines() if line.startswith("| Uniform")]
    assert line.split("|")[2].strip() == "2"
    assert "0.812 (" in line or "0.813 (" in line
    assert (tmp_path / "beats.png").read_bytes().startswith(b"\x89PNG")
    plain = json.loads((tmp_path / "beats.json").read_text())
    assert plain["beats"]["Uniform"]["correct"]["value"] == pytest.approx(0.5)
    assert plain["seeds"]["DDE"] == 0


def test_one_seed_has_no_interval(shop, tmp_path):
    write_arm(shop, SINGLE, 0, {"utility": [0.9] * 4, "correct": [1] * 4})
    text = exhibit("beats").write(Results(shop), tmp_path)
    assert "| DDE-single | 1 | 1.000 (one seed)" in text
    assert json.loads((tmp_path / "beats.json").read_text())["beats"]["DDE-single"]["utility"]["low"] is None


def test_nothing_is_written_of_nothing(tmp_path):
    for key in ("beats", "coefficients", "corrections", "saturation"):
        assert exhibit(key).write(Results(by_hand(tmp_path)), tmp_path) == ""


def test_exhibits_have_keys_of_their_own():
    keys = [each.key for each in dde.exhibits(profile())]
    assert len(set(keys)) == len(keys)
    assert {"inception", "coefficients", "corrections", "saturation", "beats"} <= set(keys)


def entry(peak: float, height: float = 1.0, count: float = 1.0) -> Entry:
    """A run on 100 steps whose credit is even but for a peak at ``peak`` T; ``count`` pairs each step and sign."""
    credit = np.ones((2, 100)) * count
    credit[:, int(100 * peak)] += 100 * height * count
    recorded = Recorded(np.ones((2, 100)) * count, credit)
    return Entry("one", Method(), 4, np.full(100, 0.01), np.ones(100), recorded)


@pytest.mark.parametrize(
    ("one", "says"), [(entry(0.5), "middle"), (entry(0.9), "elsewhere"), (entry(0.5, 0.01), "nowhere")]
)
def test_where_a_credit_peaks(one, says):
    assert where(one) == says


def test_pairs_ordered_rightly_say_where_a_credit_peaks():
    for other in (entry(0.9), entry(0.5, 0.01)):
        both = np.stack([other.recorded.credit[0], entry(0.5).recorded.credit[1]])
        assert where(replace(entry(0.5), recorded=Recorded(np.ones((2, 100)), both))) == "middle"


def test_the_papers_words_are_counted_over_seeds():
    some = [entry(0.5)] * 3 + [entry(0.9), entry(0.5, 0.01)]
    said = say_middle("DDE", some)
    assert said.endswith(
        "Of 5 seeds it does in 3 (0.25 to 0.75 T, pairs ordered rightly), peaks elsewhere in 1 and has no clear peak "
        "in 1."
    )
    assert say_middle("DDE", some[:4]).endswith("too few seeds (4) to say whether it does here.")


def test_seeds_are_added_up_by_hand():
    """One seed with 200 pairs and a peak at 0.5, one with 400 and a higher one at 0.9: together it is at 0.9."""
    some = [entry(0.5), entry(0.9, count=2.0)]
    added = together("DDE", some)
    assert added.recorded.pairs.sum() == 600
    said = say_effective("DDE", some)
    assert said.startswith("DDE (600 pairs of 2 seeds, 50% ordered rightly): the effective credit is highest at 0.90 T")
    assert "0.90 T (seeds: 0.50 to 0.90) for pairs ordered wrongly" in said
    assert "paper" not in said
    empty = replace(entry(0.5), recorded=Recorded(np.zeros((2, 100)), np.zeros((2, 100))))
    assert say_effective("DDE", [empty]) == "DDE: no pair was counted."
    assert where(empty) == "nowhere"


def test_only_ddes_own_arms_are_measured_by_the_papers_words(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "entries_of", lambda *_: [entry(0.9)] * 5)
    text = exhibit("coefficients").write(Results(by_hand(tmp_path)), tmp_path)
    said = [line for line in text.splitlines() if "the paper says" in line]
    assert [line.split(":")[0] for line in said] == ["- DDE", "- DDE-single"]
    plain = json.loads((tmp_path / "coefficients.json").read_text())
    assert plain["seeds"] == dict.fromkeys(("Uniform", "Discounted", "DDE", "DDE-single", "DDE-step"), 5)
    assert "Uniform, seeds: 5, margin > 0" in plain["effective-credit"]


@pytest.mark.slow
def test_figures_of_real_short_runs(tmp_path):
    """Credit, correction and saturation of runs of 32 pairs; margins are found again the same."""
    shop = Shop(tmp_path / "out", small_profile(tmp_path / "source"), build)
    wanted = [exhibit(key) for key in ("coefficients", "corrections", "saturation")]
    carry_out(ordered(stage for each in wanted for stage in each.stages(shop, (0,))))
    coefficients, corrections, saturation = (each.write(Results(shop), tmp_path) for each in wanted)
    assert "Uniform: ω is 1 at every step." in coefficients
    assert "Uniform (32 pairs of 1 seeds, " in coefficients
    assert coefficients.count("too few seeds (1) to say whether it does here") == 2, "DDE and DDE-single"
    assert json.loads((tmp_path / "coefficients.json").read_text())["seeds"]["DDE"] == 1
    assert (tmp_path / "coefficients-shares.svg").is_file()
    assert "| DDE-step | 1 | – |" in corrections
    assert (tmp_path / "corrections-distribution.png").is_file()
    assert "| Uniform |" in saturation
    out = shop.place(UNIFORM, 0) / "saturation.json"
    before = json.loads(out.read_text())
    assert {len(at["z"]) for at in before["at"].values()} == {len(before["at"][next(iter(before["at"]))]["t"])}
    out.unlink()
    carry_out(list(wanted[2].stages(shop, (0,))))
    assert json.loads(out.read_text()) == before
