"""Stages of an arm in the real small world, with a handful of pairs: choice, tuning, draws, and what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.reproduced import BUDGET, PROMPTS, small_profile, texts
from tastemaker.base.files import read_json
from tastemaker.cli.scorers import build
from tastemaker.rank.pairs import read_pairs
from tastemaker.reproduce import choosing
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.choosing import CHOSEN, SCORES, checkpoints
from tastemaker.reproduce.runs import CURVE, Shop
from tastemaker.reproduce.stage import carry_out, ordered

pytestmark = pytest.mark.slow

ALL, BEST = Arm("world"), Arm("world", Pairs("best", "world", 0.5))
MOMENTS = {
    "training": "runs/world-dpo-uniform-all/seed-0/run/checkpoints/",
    "drawing": "runs/world-dpo-uniform-all/seed-0/images/",
    "scoring": "runs/world-dpo-uniform-all/seed-0/scores.json",
}
"""Where the file is whose rename a run does not live to see."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    """One arm with two seeds and its curve, and another with one seed."""
    folder = tmp_path_factory.mktemp("reproduce")
    made = Shop(folder / "out", small_profile(folder / "data"), build)
    carry_out(ordered([made.base("world"), made.scored(ALL, 0), made.scored(ALL, 1), made.scored(BEST, 0)]))
    carry_out(ordered([made.curve(ALL, 0)]))
    return made


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def prompts_of(images: Path) -> set[str]:
    return set(pq.read_table(images / "images.parquet", columns=["prompt"])["prompt"].to_pylist())


@pytest.mark.parametrize(("arm", "seed"), [(ALL, 0), (ALL, 1), (BEST, 0)])
def test_the_chosen_checkpoint_is_the_best_on_the_tune_prompts(shop, arm, seed):
    """Of both checkpoints by the mean of the judge that chooses, worked out from the scores themselves."""
    place = shop.place(arm, seed)
    steps = [step for step, _ in checkpoints(place / "run")]
    assert steps == [BUDGET // 8 // 2, BUDGET // 8]
    means = {step: mean(read_json(place / "tune" / f"step-{step:06d}" / SCORES)["utility"]) for step in steps}
    chosen = read_json(place / CHOSEN)
    assert chosen["step"] == max(means, key=means.get)
    assert chosen["tune"] == {str(step): value for step, value in means.items()}


def test_the_choice_never_sees_a_test_prompt(shop):
    for arm, seed in ((ALL, 0), (ALL, 1), (BEST, 0)):
        place = shop.place(arm, seed)
        for step, _ in checkpoints(place / "run"):
            assert prompts_of(place / "tune" / f"step-{step:06d}" / "images") == set(texts("tune"))
        assert prompts_of(place / "images") == set(texts("test"))


def test_other_test_prompts_change_no_choice(shop, tmp_path):
    """The same runs, reported on other prompts."""
    told = replace(shop.profile, test=lambda: texts("test", 99))
    again = Shop(tmp_path, told, build)
    place = again.place(ALL, 0)
    place.mkdir(parents=True)
    (place / "run").symlink_to(shop.place(ALL, 0) / "run")
    again.scored(ALL, 0).do()
    assert read_json(place / CHOSEN) == read_json(shop.place(ALL, 0) / CHOSEN)
    assert read_json(place / SCORES) != read_json(shop.place(ALL, 0) / SCORES)


def test_scores_are_those_of_the_chosen_checkpoint(shop, tmp_path):
    """Drawn and scored once more."""
    place = shop.place(ALL, 0)
    adapter = dict(checkpoints(place / "run"))[read_json(place / CHOSEN)["step"]]
    shop.judge("world", adapter, tmp_path / "images", texts("test"), tmp_path / SCORES)
    assert (tmp_path / SCORES).read_bytes() == (place / SCORES).read_bytes()


def test_scores_are_a_column_a_judge_and_a_value_a_prompt(shop):
    for stage in (shop.base("world"), shop.scored(ALL, 0), shop.scored(BEST, 0)):
        found = read_json(stage.out)
        assert {name: len(values) for name, values in found.items()} == {"utility": PROMPTS, "correct": PROMPTS}


def test_a_curve_has_every_checkpoint_on_the_test_prompts(shop):
    """At the chosen step it is what is reported."""
    place = shop.place(ALL, 0)
    points = read_json(place / CURVE)
    assert list(points) == [str(step) for step, _ in checkpoints(place / "run")]
    assert points[str(read_json(place / CHOSEN)["step"])] == read_json(place / SCORES)


def test_trials_are_runs_on_the_tune_prompts(shop, monkeypatch):
    """Two real candidates; the one with the better mean of its own scores is taken, and it is resumed, not repeated."""
    candidates = [{"beta": 1.0, "lr": 1e-5}, {"beta": 300.0, "lr": 1e-2}]
    tuning = replace(shop, profile=replace(shop.profile, candidates=lambda _: candidates))
    place = shop.out / "tuned-here.json"
    choosing.tune(tuning, ALL, place)
    folders = [shop.out / "trials" / ALL.name / words for words in ("beta=1-lr=1e-05", "beta=300-lr=0.01")]
    means = [mean(read_json(folder / SCORES)["utility"]) for folder in folders]
    assert means[0] != means[1]
    assert read_json(place) == candidates[means.index(max(means))]
    assert all(prompts_of(folder / "images") == set(texts("tune")) for folder in folders)
    monkeypatch.setattr("tastemaker.train.training.train", None)
    choosing.tune(tuning, ALL, place)


def test_random_pairs_differ_by_seed_and_best_ones_do_not(shop):
    drawn, best = Pairs("random", share=0.5), Pairs("best", "world", 0.5)
    stages = {(pairs.kind, seed): shop.pairs(pairs, seed) for pairs in (drawn, best) for seed in (0, 1)}
    carry_out(ordered(stages.values()))
    ids = {key: [pair.pair_id for pair in read_pairs(stage.out.parent)] for key, stage in stages.items()}
    assert set(ids["random", 0]) != set(ids["random", 1])
    assert ids["best", 0] == ids["best", 1]
    assert {len(some) for some in ids.values()} == {len(ids["best", 0])}
    everything = {pair.pair_id for pair in read_pairs(shop.pairs(Pairs(), 0).out.parent)}
    assert set(ids["best", 0]) < everything


def test_best_pairs_are_those_with_the_highest_quality(shop):
    stage = shop.pairs(BEST.pairs, 0)
    kept, left = (
        pq.read_table(stage.out.parent / f"{name}.parquet")["quality"].drop_null().to_pylist()
        for name in ("pairs", "discarded")
    )
    assert kept == sorted(kept, reverse=True)
    assert min(kept) >= max(left)
    assert len(kept) == round(0.5 * (len(kept) + len(left)))


def test_seeds_change_training_and_order_but_not_what_is_drawn(shop):
    """Same prompts, other weights."""
    one, two = (shop.place(ALL, seed) for seed in (0, 1))
    assert read_json(one / SCORES) != read_json(two / SCORES)
    assert prompts_of(one / "images") == prompts_of(two / "images")


def test_budget_and_order_are_in_the_recipe(shop):
    for arm, order in ((ALL, "random"), (BEST, "sorted")):
        recipe = shop.recipe(arm, 0, {"beta": 1.0, "lr": 0.1}, shop.out)
        assert (recipe.data.order, recipe.data.max_pairs) == (order, BUDGET)
        pairs = len(read_pairs(shop.pairs(arm.pairs, 0).out.parent))
        assert pairs * recipe.data.epochs >= BUDGET > pairs * (recipe.data.epochs - 1)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_run_again_gives_the_same_scores(shop, tmp_path, moment):
    """SIGKILL just before the first file of a moment gets its name; the rest is done by a second process."""
    data = Path(shop.profile.data).parent
    killed = _process(tmp_path, data, MOMENTS[moment])
    assert killed == -signal.SIGKILL
    again = Shop(tmp_path, shop.profile, build)
    assert not again.scored(ALL, 0).done
    assert (again.trained(ALL, 0).done, again.pairs(Pairs(), 0).done) == (moment != "training", True)
    assert _process(tmp_path, data, "") == 0
    assert again.scored(ALL, 0).out.read_bytes() == shop.scored(ALL, 0).out.read_bytes()
    assert read_json(again.place(ALL, 0) / CHOSEN) == read_json(shop.place(ALL, 0) / CHOSEN)


def _process(out: Path, data: Path, moment: str) -> int:
    path = os.pathsep.join([str(Path(__file__).resolve().parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, __file__, str(out), str(data), moment]
    return subprocess.run(command, env=environment, check=False, timeout=400).returncode


def kill_before(moment: str) -> None:
    """Make the first rename to a place that holds ``moment`` the last thing that this process does not do."""
    for name in ("replace", "rename"):
        rename = getattr(os, name)

        def guarded(source, target, rename=rename):
            if moment in str(target):
                os.kill(os.getpid(), signal.SIGKILL)
            rename(source, target)

        setattr(os, name, guarded)


if __name__ == "__main__":
    out, data, moment = sys.argv[1:]
    if moment:
        kill_before(moment)
    mine = Shop(Path(out), small_profile(Path(data)), build)
    carry_out(ordered([mine.scored(ALL, 0)]))
