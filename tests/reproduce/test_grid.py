"""The table of hand-made scores: cells, intervals, what the page tells; which cells there are (see `test_leader`)."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
from pydantic import ValidationError

from support.grids import DDE, DPO, DRAWN, IPO, SMALL, shop_with_base, write
from tastemaker.method.method import Method
from tastemaker.reproduce import world_profile
from tastemaker.reproduce.arm import CREDITS, LOSSES, Arm, Pairs
from tastemaker.reproduce.grid import GRID_CREDITS, grid, possible, sets
from tastemaker.reproduce.results import Results


@pytest.fixture
def shop(tmp_path):
    return shop_with_base(tmp_path)


def test_cells_by_hand_best_first(shop):
    """IPO, 5 seeds: s_S² = 0.025, /5; prompts' means ±0.1, s_N² = 0.012, /6; t_4 √(0.005 + 0.002) = 0.2323."""
    write(shop, DPO, -1.0, 1)
    write(shop, IPO, 0.5, 5)
    found = SMALL.differences(Results(shop))
    assert list(found) == [("all", "ipo", "uniform"), ("all", "dpo", "uniform")]
    ipo, dpo = found.values()
    assert (ipo.seeds, dpo.seeds) == (5, 1)
    assert dpo.difference.value == pytest.approx(-1.0)
    assert ipo.difference.value == pytest.approx(0.5)
    assert ipo.difference.high - 0.5 == pytest.approx(0.2323, abs=5e-5)


def test_the_page_tells_cells_their_intervals_seeds_and_gaps(shop, tmp_path):
    """DPO, 2 seeds: s_S² = 0.005, /2; with the prompts' 0.002 t_1 √0.0045 = 0.852."""
    write(shop, DPO, 1.0, 2)
    write(shop, IPO, -0.5, 1)
    text = SMALL.write(Results(shop), tmp_path)
    assert "![All of it](grid.png)" in text
    assert "| all: utility − base | uniform | dde |" in text
    assert "| dpo | +1.000 ±0.852 2 seeds | – |" in text
    assert "| ipo | -0.500 1 seed | × |" in text
    assert "| pairs | loss" not in text
    assert text.endswith("Screening: of 2 combinations none has run with 5 seeds. No order is claimed.\n")


def test_cells_of_five_seeds_are_told_best_first(shop, tmp_path):
    write(shop, DPO, 1.0, 4)
    write(shop, IPO, 0.5, 5)
    write(shop, DRAWN, 2.0, 6)
    text = SMALL.write(Results(shop), tmp_path)
    told = text[text.index("| pairs | loss") :].splitlines()
    assert told[2].startswith("| random | dpo | uniform | 6 | +2.000 (")
    assert told[3] == "| all | ipo | uniform | 5 | +0.500 (+0.268 to +0.732) |"
    assert told[4] == ""
    assert told[5].startswith("2 combinations have run with 5 seeds or more, but share seeds 0, 1, 2, 3, 4, of which")


def test_the_page_tells_means_of_combinations_that_have_run_with_every_set(shop, tmp_path):
    best = {
        ("QSD", "dpo", credit): Arm("world", Pairs("best", share=0.3), credit=credit) for credit in ("uniform", "dde")
    }
    table = replace(SMALL, sets=("all", "QSD"), cells=SMALL.cells | best)
    write(shop, DPO, 0.5, 1)
    write(shop, DDE, 0.2, 1)
    write(shop, best["QSD", "dpo", "uniform"], 1.0, 2)  # 0.95 with seed 0, which all have
    assert "mean utility" not in table.write(Results(shop), tmp_path)
    write(shop, best["QSD", "dpo", "dde"], 0.1, 1)
    text = table.write(Results(shop), tmp_path)
    assert "| mean utility − base, seed 0 | all | QSD | combinations |" in text
    assert "| every combination | +0.350 | +0.525 | 2 |" in text
    assert "QSD lies above all in 1 of 2 combinations, by +0.175 on average. These means are of cells" in text


def test_the_page_ends_with_who_leads(shop, tmp_path):
    write(shop, DPO, 1.0, 5)
    write(shop, DRAWN, 2.0, 5)
    write(shop, DDE, 0.5, 1)
    text = SMALL.write(Results(shop), tmp_path)
    assert f"`{DRAWN.name}` leads 2 candidates" in text
    assert text.endswith("it counts in the table above, but not in this comparison.\n")


def test_csv_and_latex(shop, tmp_path):
    write(shop, DPO, 1.0, 2)
    write(shop, IPO, 0.5, 1)
    SMALL.write(Results(shop), tmp_path)
    first, second = csv.DictReader((tmp_path / "grid.csv").open())
    assert (first["pairs"], first["loss"], first["credit"], first["arm"], first["seeds"]) == (
        "all", "dpo", "uniform", DPO.name, "2",
    )  # fmt: skip
    assert float(first["value"]) == pytest.approx(1.0)
    assert float(first["low"]) < 1 < float(first["high"])
    assert (second["loss"], second["low"], second["high"]) == ("ipo", "", "")
    text = (tmp_path / "grid.tex").read_text()
    assert text.count(r"\begin{tabular}") == 2
    assert r"ipo & +0.500 1 seed & $\times$ \\" in text


def test_nothing_finished_or_no_base_is_no_page(shop, tmp_path):
    assert SMALL.write(Results(shop), tmp_path) == ""
    write(shop, DPO, 1.0, 2)
    shop.base("world").out.unlink()
    assert SMALL.write(Results(shop), tmp_path) == ""
    assert not list(tmp_path.glob("grid*"))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("credit", CREDITS)
def test_possible_is_what_method_accepts(loss, credit):
    arm = Arm("world", loss=loss, credit=credit)
    try:
        Method.model_validate(arm.method({}))
        accepted = True
    except ValidationError:
        accepted = False
    assert possible(arm) is accepted


def test_what_is_impossible_by_name():
    """A correction has no gradient and SFT's link only adds it to the loss (`method.method`)."""
    impossible = {
        (loss, credit) for loss in LOSSES for credit in CREDITS if not possible(Arm("w", Pairs(), loss, credit))
    }
    assert impossible == {("sft", "dde"), ("sft", "dde-step")}


def test_the_worlds_grid_is_whole():
    """All losses × all credits × three sets, but for what is impossible; as many at random as best ones."""
    profile = world_profile.profile()
    found = grid(profile, "world")
    assert found.losses == tuple(LOSSES)
    assert found.credits == GRID_CREDITS
    assert len(found.cells) == 3 * (len(LOSSES) * len(GRID_CREDITS) - 2)
    assert len(found.arms) == len(found.cells)
    pairs = sets(profile)
    assert pairs["QSD"].share == pairs["random"].share == 0.3
