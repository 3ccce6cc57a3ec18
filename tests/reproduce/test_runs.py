"""Stages of an arm with verbs that only say what they were asked: choice, tuning, recipes, what is finished stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.reproduced import by_hand
from tastemaker.base.files import read_json, write_json
from tastemaker.reproduce import choosing
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.choosing import CHOSEN, SCORES, checkpoints
from tastemaker.reproduce.profile import Settings
from tastemaker.reproduce.runs import CURVE, LAST, Shop

ALL, BEST = Arm("world"), Arm("world", Pairs("best", "world", 0.5))
TUNE, TEST = ["tune one", "tune two"], ["test one", "test two", "test three"]
CANDIDATES: list[Settings] = [{"beta": float(beta), "lr": 0.1} for beta in (1, 2, 3)]


class Asked:
    """Judging by a table of (split, step): writes its score for every prompt and remembers what it was asked."""

    def __init__(self, table: dict[tuple[str, int], float]) -> None:
        self.table, self.asked = table, []

    def __call__(self, adapter: Path, prompts: list[str], to: Path) -> None:
        step, split = int(adapter.name.removeprefix("step-")), prompts[0].split()[0]
        self.asked.append((step, tuple(prompts)))
        value = self.table[split, step]
        spread = [value + 0.5 * (-1) ** index for index in range(len(prompts) // 2 * 2)]
        write_json(to, {"utility": [*spread, *[value] * (len(prompts) % 2)], "correct": [-step] * len(prompts)})


@pytest.fixture
def shop(tmp_path) -> Shop:
    """A finished run of three checkpoints, of which the last is the best on the test prompts."""
    made = by_hand(tmp_path)
    made = replace(made, profile=replace(made.profile, tune=lambda: TUNE, test=lambda: TEST))
    for step in (0, 10, 20, 100):
        (made.place(ALL, 0) / "run" / "checkpoints" / f"step-{step:06d}").mkdir(parents=True)
    return made


def judging(monkeypatch, tune: dict[int, float], test: dict[int, float]) -> Asked:
    table = {("tune", step): value for step, value in tune.items()}
    asked = Asked(table | {("test", step): value for step, value in test.items()})
    monkeypatch.setattr(Shop, "judge", lambda _, __, adapter, ___, prompts, to: asked(adapter, prompts, to))
    return asked


TUNED, TESTED = {10: 0.1, 20: 0.3, 100: 0.2}, {10: 0.0, 20: 0.1, 100: 0.9}


def test_the_best_checkpoint_on_the_tune_prompts_is_reported_on_the_test_prompts(shop, monkeypatch):
    """Step 100 is better on the test prompts and by the other judge's mean step 10, but neither is asked."""
    asked = judging(monkeypatch, TUNED, TESTED)
    shop.scored(ALL, 0).do()
    place = shop.place(ALL, 0)
    assert read_json(place / CHOSEN) == {"step": 20, "tune": pytest.approx({"10": 0.1, "20": 0.3, "100": 0.2})}
    assert asked.asked == [*((step, tuple(TUNE)) for step in (10, 20, 100)), (20, tuple(TEST))]
    assert read_json(place / SCORES)["correct"] == [-20] * 3


def test_a_stopped_choice_draws_only_what_is_missing(shop, monkeypatch):
    asked = judging(monkeypatch, TUNED, TESTED)
    write_json(shop.place(ALL, 0) / "tune" / "step-000010" / SCORES, {"utility": [7.0]})
    shop.scored(ALL, 0).do()
    assert [step for step, _ in asked.asked] == [20, 100, 10]
    assert read_json(shop.place(ALL, 0) / CHOSEN)["step"] == 10


def test_of_equal_checkpoints_the_earliest_is_chosen(shop, monkeypatch):
    judging(monkeypatch, dict.fromkeys(TUNED, 0.5), TESTED)
    shop.scored(ALL, 0).do()
    assert read_json(shop.place(ALL, 0) / CHOSEN)["step"] == 10


def test_a_failing_judge_leaves_no_output(shop, monkeypatch):
    asked = judging(monkeypatch, TUNED, {})
    with pytest.raises(KeyError):
        shop.scored(ALL, 0).do()
    assert len(asked.asked) == 4
    assert not shop.scored(ALL, 0).done


def test_a_curve_judges_every_checkpoint_on_the_test_prompts(shop, monkeypatch):
    asked = judging(monkeypatch, {}, TESTED)
    shop.curve(ALL, 0).do()
    assert asked.asked == [(step, tuple(TEST)) for step in (10, 20, 100)]
    points = read_json(shop.place(ALL, 0) / CURVE)
    assert {step: scores["correct"][0] for step, scores in points.items()} == {"10": -10, "20": -20, "100": -100}


@pytest.mark.parametrize(("faster", "best"), [(0.4, {"beta": 2.0, "lr": 0.5}), (0.25, {"beta": 2.0, "lr": 0.1})])
def test_tuning_takes_the_best_mean_and_then_the_faster_rate(shop, monkeypatch, faster, best):
    """β 2 is the best of the three; at the faster rate it is better still, or not."""
    means = {(1, 0.1): 0.1, (2, 0.1): 0.3, (3, 0.1): 0.2, (2, 0.5): faster}
    tried = []

    def trial(shop, arm, settings):
        tried.append(settings)
        return means[settings["beta"], settings["lr"]]

    monkeypatch.setattr(choosing, "trial", trial)
    profile = replace(shop.profile, candidates=lambda _: CANDIDATES, faster=0.5)
    stage = Shop(shop.out, profile, shop.build).tuned(ALL)
    stage.do()
    assert read_json(stage.out) == best
    assert tried == [*CANDIDATES, {"beta": 2.0, "lr": 0.5}]


def test_one_candidate_is_taken_as_it_is_and_costs_nothing(shop):
    profile = replace(shop.profile, candidates=lambda _: CANDIDATES[:1], faster=None)
    stage = Shop(shop.out, profile, shop.build).tuned(ALL)
    stage.do()
    assert read_json(stage.out) == CANDIDATES[0]
    assert stage.seconds == 0


def test_a_finished_trial_is_not_run_again(shop, monkeypatch):
    """Its mean is that of the judge that chooses; no training, no drawing."""
    monkeypatch.setattr("tastemaker.train.training.train", None)
    monkeypatch.setattr(Shop, "judge", None)
    for beta, value in ((1, 0.2), (2, 0.4), (3, 0.3)):
        there = shop.out / "trials" / ALL.name / f"beta={beta}-lr=0.1" / SCORES
        write_json(there, {"utility": [value - 1, value + 1], "correct": [-beta]})
    profile = replace(shop.profile, candidates=lambda _: CANDIDATES, faster=None)
    stage = Shop(shop.out, profile, shop.build).tuned(ALL)
    stage.do()
    assert read_json(stage.out) == {"beta": 2.0, "lr": 0.1}


@pytest.mark.parametrize(("arm", "order"), [(ALL, "random"), (BEST, "sorted")])
def test_recipes_read_the_budget_whatever_the_number_of_pairs(shop, monkeypatch, arm, order):
    """1,920 pairs of 1,000 are two epochs, stopped in the second; 120 steps, four checkpoints."""
    monkeypatch.setattr("tastemaker.rank.pairs.read_pairs", lambda _: [None] * 1000)
    recipe = shop.recipe(arm, 7, {"beta": 5.0, "lr": 0.25}, shop.out / "run")
    assert (recipe.data.order, recipe.data.epochs, recipe.data.max_pairs) == (order, 2, 1920)
    assert (recipe.train.seed, recipe.train.lr, recipe.train.checkpoint_every) == (7, 0.25, 30)
    assert recipe.method.link.beta == 5
    assert str(recipe.data.pairs) == str(shop.pairs(arm.pairs, 7).out.parent)


def test_a_run_may_stop_when_all_pairs_are_read_once(shop, monkeypatch):
    """1,000 pairs are 63 steps: a checkpoint every 16, four in all; with more pairs than the budget it holds."""
    profile = replace(shop.profile, once=lambda _: True)
    shop = Shop(shop.out, profile, shop.build)
    for pairs, most, every in ((1000, 1000, 16), (3000, 1920, 30)):
        monkeypatch.setattr("tastemaker.rank.pairs.read_pairs", lambda _, pairs=pairs: [None] * pairs)
        recipe = shop.recipe(ALL, 0, CANDIDATES[0], shop.out / "run")
        assert (recipe.data.epochs, recipe.data.max_pairs, recipe.train.checkpoint_every) == (1, most, every)


def test_a_rank_of_the_arm_goes_before_that_of_the_model(shop, monkeypatch):
    monkeypatch.setattr("tastemaker.rank.pairs.read_pairs", lambda _: [None] * 1000)
    ranks = [shop.recipe(Arm("world", rank=rank), 0, CANDIDATES[0], shop.out).adapter.rank for rank in (None, 8)]
    assert ranks == [16, 8]


def test_a_model_whose_weights_are_all_trained_has_no_rank(shop, monkeypatch):
    """DDE's setting."""
    monkeypatch.setattr("tastemaker.rank.pairs.read_pairs", lambda _: [None] * 1000)
    model = shop.profile.models["world"]
    full = replace(model, tree={**model.tree, "adapter": {"kind": "full"}})
    shop = Shop(shop.out, replace(shop.profile, models={"world": full}), shop.build)
    assert shop.recipe(ALL, 0, CANDIDATES[0], shop.out).adapter.kind == "full"


def test_only_what_is_drawn_depends_on_the_seed(shop):
    places = {
        pairs.kind: [shop.pairs(pairs, seed).out for seed in (0, 1)]
        for pairs in (Pairs(), Pairs("random", share=0.5), Pairs("best", "world", 0.5))
    }
    assert {kind: one == two for kind, (one, two) in places.items()} == {"all": False, "random": False, "best": True}


def test_pairs_are_cut_and_drawn_as_named(shop, monkeypatch):
    """All in a drawn order; a random share in a drawn order; the best share by the ranker's id, in order of Q."""
    asked = []
    monkeypatch.setattr("tastemaker.rank.ranking.rank", lambda _, scorer, __, cut: asked.append((scorer, cut)))
    shop = replace(shop, build=lambda spec: SimpleNamespace(id=f"id of {spec}"))
    for pairs in (Pairs(), Pairs("random", share=0.5), Pairs("best", "noise8", 0.25)):
        shop.pairs(pairs, 3).do()
    (all_by, everything), (random_by, drawn), (best_by, best) = asked
    assert (all_by, random_by, best_by) == ("id of world", "id of world", "id of world:noise=8")
    assert (everything.order, everything.seed, everything.fraction) == ("random", 3, type(best)().fraction)
    assert (drawn.order, drawn.seed, drawn.fraction) == ("random", 3, 0.5)
    assert (best.order, best.seed, best.fraction) == (type(best)().order, type(best)().seed, 0.25)


def test_the_end_of_a_run_is_reported_beside_its_chosen_checkpoint(shop, monkeypatch):
    """No tune prompt is drawn, and what was chosen stays as it is."""
    asked, last = judging(monkeypatch, {}, TESTED), replace(ALL, last=True)
    write_json(shop.scores(ALL, 0), {"utility": [0.5]})
    shop.scored(last, 0).do()
    assert asked.asked == [(100, tuple(TEST))]
    assert shop.scores(last, 0) == shop.place(ALL, 0) / LAST
    assert read_json(shop.scores(last, 0))["correct"] == [-100] * 3
    assert read_json(shop.scores(ALL, 0)) == {"utility": [0.5]}
    assert shop.scored(last, 0).needs == shop.scored(ALL, 0).needs


def test_rates_that_are_tried_themselves_have_no_faster_one(shop):
    profile = replace(shop.profile, candidates=lambda _: [{"lr": 1.0}, {"lr": 2.0}], faster=0.5)
    assert choosing.trials(profile, ALL) == [{"lr": 1.0}, {"lr": 2.0}]
    profile = replace(shop.profile, candidates=lambda _: CANDIDATES, faster=0.5)
    assert choosing.trials(profile, ALL) == [*CANDIDATES, None]


def test_the_first_checkpoint_and_unfinished_ones_are_no_choice(shop):
    run = shop.place(ALL, 0) / "run"
    (run / "checkpoints" / ".tmp-1-step-000030").mkdir()
    assert [step for step, _ in checkpoints(run)] == [10, 20, 100]
