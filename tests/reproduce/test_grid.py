"""The heat map of hand-made scores: cells, intervals from five seeds on, the leader, the picture's panels."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from support.reproduced import by_hand, write_arm, write_base
from tastemaker.method.method import Method
from tastemaker.reproduce import world_profile
from tastemaker.reproduce.arm import CREDITS, LOSSES, Arm, Pairs
from tastemaker.reproduce.grid import GRID_CREDITS, Grid, grid, leader, possible, sets
from tastemaker.reproduce.results import Results

DPO, IPO, DDE = Arm("world"), Arm("world", loss="ipo"), Arm("world", credit="dde")
DRAWN = Arm("world", Pairs("random", share=0.3))
CELLS = {
    ("all", "dpo", "uniform"): DPO,
    ("all", "ipo", "uniform"): IPO,
    ("all", "dpo", "dde"): DDE,
    ("random", "dpo", "uniform"): DRAWN,
}
SMALL = Grid("grid", "ours", "All of it", "world", ("all", "random"), ("dpo", "ipo"), ("uniform", "dde"), CELLS)
N = 6


@pytest.fixture
def shop(tmp_path):
    made = by_hand(tmp_path, N)
    write_base(made, {"utility": list(range(N)), "correct": [0] * N})
    return made


def write(shop, arm: Arm, gain: float, seeds: int, spread: float = 0.1) -> None:
    """Utility ``gain`` above the base in the mean: seeds go up and down in turn, and so do prompts."""
    for seed in range(seeds):
        shift = spread * (seed - (seeds - 1) / 2)
        scores = [prompt + gain + shift + 0.1 * (-1) ** prompt for prompt in range(N)]
        write_arm(shop, arm, seed, {"utility": scores, "correct": [0] * N})


def test_cells_by_hand(shop):
    write(shop, DPO, 1.0, 2)
    write(shop, IPO, -0.5, 1)
    values, seeds = SMALL.table("all", Results(shop))
    np.testing.assert_allclose(values, [[1.0, np.nan], [-0.5, np.nan]])
    assert seeds.tolist() == [[2, 0], [1, 0]]


def test_the_page_tells_cells_seeds_and_gaps(shop, tmp_path):
    write(shop, DPO, 1.0, 2)
    write(shop, IPO, -0.5, 1)
    text = SMALL.write(Results(shop), tmp_path)
    assert "| all: utility − base | uniform | dde |" in text
    assert "| dpo | +1.000 (2) | – |" in text
    assert "| ipo | -0.500 (1) | – |" in text
    assert "No cell has run with 5 seeds yet" in text


def test_cells_of_five_seeds_have_intervals_best_first(shop, tmp_path):
    """IPO, 5 seeds: s_S² = 0.025, /5; prompts' means ±0.1, s_N² = 0.012, /6; t_4 √(0.005 + 0.002) = 0.2323."""
    write(shop, DPO, 1.0, 4)
    write(shop, IPO, 0.5, 5)
    write(shop, DRAWN, 2.0, 6)
    text = SMALL.write(Results(shop), tmp_path)
    told = text[text.index("| pairs | loss") :].splitlines()
    assert told[2].startswith("| random | dpo | uniform | 6 | +2.000 (")
    assert told[3] == "| all | ipo | uniform | 5 | +0.500 (+0.268 to +0.732) |"
    assert told[4] == ""


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
    assert r"dpo & +1.000 (2) & -- \\" in text


def test_the_picture_has_a_panel_a_set_and_colours_about_zero(shop, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    kept, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (kept.append(self), save(self, *a, **k))[1])
    write(shop, DPO, 1.0, 2)
    write(shop, DRAWN, -3.0, 1)
    SMALL.write(Results(shop), tmp_path)
    one, two, *_ = kept[0].axes
    assert [one.get_title(), two.get_title()] == ["all", "random"]
    assert [text.get_text() for text in one.get_xticklabels()] == ["uniform", "dde"]
    assert [text.get_text() for text in one.get_yticklabels()] == ["dpo", "ipo"]
    assert [text.get_text() for text in one.texts] == ["+1.000\n2"]
    for axes in (one, two):
        assert axes.images[0].get_clim() == pytest.approx((-3.0, 3.0))
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.width > picture.height


def test_a_leader_is_named_only_where_it_is_distinguishable(shop):
    write(shop, DPO, 1.0, 5)
    write(shop, IPO, 1.0, 5, spread=-0.1)
    text = leader(SMALL, Results(shop))
    assert "none is named best" in text
    assert "not distinguishable" in text
    write(shop, DDE, 3.0, 5)
    assert leader(SMALL, Results(shop)).startswith(f"`{DDE.name}` leads, by +2.000 (")
    assert "(5 seeds)" in leader(SMALL, Results(shop))


def test_no_leader_of_fewer_seeds_than_others_or_of_one(shop):
    assert "nothing is said about the best" in leader(SMALL, Results(shop))
    write(shop, DDE, 9.0, 1)
    write(shop, DPO, 1.0, 1)
    assert "nothing is said about the best" in leader(SMALL, Results(shop))
    write(shop, DPO, 1.0, 3)
    write(shop, IPO, 0.5, 3, spread=0.0)
    assert DDE.name not in leader(SMALL, Results(shop))


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
