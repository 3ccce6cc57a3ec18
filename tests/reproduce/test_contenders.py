"""Which cells get more seeds: by hand, before and after the screen, by prompts that no figure is of."""

from __future__ import annotations

import pytest

from support.grids import CELLS, DDE, DPO, DRAWN, IPO, SMALL, shop_with_base, write_gains
from tastemaker.base.files import write_json
from tastemaker.reproduce import page
from tastemaker.reproduce.choosing import CHOSEN
from tastemaker.reproduce.contenders import MOST, Contenders, contenders
from tastemaker.reproduce.reproduce import exhibits, reproduce
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.stage import Stage

ARMS = list(CELLS.values())
BEST = Contenders(SMALL, most=2)
TUNE = {DPO: 0.5, IPO: 0.9, DDE: 0.7, DRAWN: 0.1}


@pytest.fixture
def shop(tmp_path):
    return shop_with_base(tmp_path)


def screen(shop, *arms, seed=0):
    """On the reported prompts the order is the other way round; the first checkpoint is not the chosen one."""
    for arm in arms:
        write_gains(shop, arm, {seed: 1 - TUNE[arm]})
        write_json(shop.place(arm, seed) / CHOSEN, {"step": 60, "tune": {"30": 0.0, "60": TUNE[arm]}})


def names(shop, seeds):
    return [stage.name for stage in BEST.stages(shop, seeds) if not stage.done]


def test_the_best_on_the_tune_prompts(shop):
    screen(shop, *ARMS)
    assert contenders(shop, ARMS, 3) == [IPO, DDE, DPO]
    assert contenders(shop, ARMS) == [IPO, DDE, DPO, DRAWN]


def test_of_equals_the_first_ones(shop):
    screen(shop, *ARMS)
    for arm in (DPO, DRAWN):
        write_json(shop.place(arm, 0) / CHOSEN, {"step": 30, "tune": {"30": 0.7, "60": 0.6}})
    assert contenders(shop, ARMS, 3) == [IPO, DPO, DDE]


def test_before_the_screen_is_through_only_it_is_to_do(shop):
    """Other seeds do not stand for it, whatever is asked for."""
    screen(shop, DPO, IPO, DDE)
    screen(shop, DRAWN, seed=1)
    assert contenders(shop, ARMS) == []
    assert names(shop, (1, 2)) == [f"score {DRAWN.name} seed 0"]


def test_after_it_the_best_get_their_seeds_one_by_one(shop):
    screen(shop, *ARMS)
    assert names(shop, (0, 1, 2)) == [f"score {arm.name} seed {seed}" for seed in (1, 2) for arm in (IPO, DDE)]


def test_more_seeds_do_not_change_who_was_chosen(shop):
    screen(shop, *ARMS)
    screen(shop, DPO, seed=1)
    write_json(shop.place(DPO, 1) / CHOSEN, {"step": 60, "tune": {"60": 9.0}})
    assert contenders(shop, ARMS, 2) == [IPO, DDE]


def test_the_page(shop, tmp_path):
    assert BEST.write(Results(shop), tmp_path) == ""
    screen(shop, DPO, IPO, DDE)
    assert "3 of 4 combinations are screened with seed 0; none is chosen yet." in BEST.write(Results(shop), tmp_path)
    screen(shop, DRAWN)
    screen(shop, IPO, seed=1)
    text = BEST.write(Results(shop), tmp_path)
    assert "The best 2 of 4 combinations after seed 0, by utility on the prompts that choose checkpoints" in text
    assert text.splitlines()[4:] == [
        "| pairs | loss | credit | utility of seed 0 | seeds so far |",
        "| --- | --- | --- | --- | --- |",
        "| all | ipo | uniform | 0.900 | 2 |",
        "| all | dpo | dde | 0.700 | 1 |",
    ]


def test_it_is_among_the_exhibits_and_a_dry_run_counts_it(shop):
    """The screen has the whole grid's seed 0, and the base's images; here all of it is finished, but not seed 1."""
    found = next(exhibit for exhibit in exhibits(shop.profile) if exhibit.key == "contenders")
    before = reproduce(shop, ("contenders",), (0, 1), dry_run=True)["exhibits"]["contenders"]
    grid = reproduce(shop, ("grid",), (0,), dry_run=True)["exhibits"]["grid"]
    assert before == grid
    for arm in found.arms:
        write_gains(shop, arm, {0: 0.0})
    after = reproduce(shop, ("contenders",), (0, 1), dry_run=True)["kinds"]
    assert after["train"].startswith(f"{MOST} stages, 0 finished")


def test_one_call_screens_and_goes_on(shop, monkeypatch):
    """Stages that only write what a screen leaves: first all with seed 0, then the best with the others."""
    done = []

    def scored(self, arm, seed):
        def do():
            done.append((arm, seed))
            screen(self, arm, seed=seed)

        return Stage(f"score {arm.name} seed {seed}", "draw and score", self.scores(arm, seed), do)

    monkeypatch.setattr(type(shop), "scored", scored)
    monkeypatch.setattr("tastemaker.reproduce.reproduce.exhibits", lambda _: [BEST])
    said = reproduce(shop, (), (0, 1))
    assert done == [*((arm, 0) for arm in ARMS), (IPO, 1), (DDE, 1)]
    assert said["stages"] == 6
    assert "The best 2 of 4" in (shop.out / page.FOLDER / page.NAME).read_text()
    assert reproduce(shop, (), (0, 1))["stages"] == 0
