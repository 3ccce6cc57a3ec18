"""What D3PO learns: the recipes' own settings, what a run takes, and prompts that are apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tastemaker.cli.scorers import build
from tastemaker.reproduce import online, world_profile
from tastemaker.reproduce.d3po_runs import recipe
from tastemaker.reproduce.runs import Shop
from tastemaker.rollout.feedback import Simulated
from tastemaker.train.recipe import D3po, read_recipe
from tastemaker.world import captions, tasks
from tastemaker.world.assets import D3PO

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = {"sample_every", "sample_steps", "sample_prompts", "guidance"}
"""Pictures to look at while a run goes on: they change no weight."""


def sd15() -> dict[str, online.OnlineTask]:
    base = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    return online.sd15(base, lambda: ["a fox", "a hen"], lambda: ["an owl"])


def shop(known: dict[str, online.OnlineTask], out: Path = Path("out")) -> Shop:
    return Shop(out, replace(world_profile.profile(), online=known), build)


def settings(found: D3po) -> dict[str, Any]:
    """All that decides a run but where its prompts lie."""
    tree = found.model_dump(mode="json", exclude={"out": True, "rollout": {"prompts"}})
    return tree | {"train": {name: value for name, value in tree["train"].items() if name not in SAMPLES}}


@pytest.mark.parametrize("name", ["compressibility", "incompressibility"])
def test_stable_diffusion_is_trained_by_the_recipes_of_this_repository(name: str) -> None:
    file = read_recipe(ROOT / f"recipes/sd15/d3po-{name}.yaml", kind=D3po)
    assert settings(recipe(shop(sd15()), name, 0)) == settings(file)


def test_aesthetics_differs_from_compressibility_by_its_scorer_alone() -> None:
    found, other = (recipe(shop(sd15()), name, 0) for name in ("aesthetics", "compressibility"))
    assert found.feedback.scorers == ("aesthetic",)
    assert settings(found) | {"feedback": None} == settings(other) | {"feedback": None}


def test_the_judge_of_each_task_of_the_world() -> None:
    recipes = {name: recipe(shop(online.world()), name, 3) for name in tasks.TASKS}
    assert isinstance(recipes["people"].feedback, Simulated)
    assert [recipes[name].rounds.count for name in ("people", "shapes", "compressibility")] == [20, 16, 8]
    assert recipes["shapes"].feedback.scorers == ("world-shapes",)
    for name, prefer in (("compressibility", "small"), ("incompressibility", "large")):
        assert recipes[name].feedback.scorers == (f"jpeg-size:prefer={prefer}",)
        assert recipes[name].rounds.watch == ("world-utility",)
    assert {made.train.seed for made in recipes.values()} == {3}


def test_people_are_asked_by_the_recipe_that_is_shipped() -> None:
    ours, shipped = settings(recipe(shop(online.world()), "people", 0)), settings(read_recipe(D3PO, kind=D3po))
    assert ours | {"model": None} == shipped | {"model": None}


@pytest.mark.parametrize("known", [online.world(), sd15()])
def test_the_first_judge_is_what_is_taught_and_all_exist(known: dict[str, online.OnlineTask]) -> None:
    for name, task in known.items():
        assert recipe(shop(known), name, 0).feedback.scorers == (task.taught.spec,)
        assert len({judge.name for judge in task.judges}) == len(task.judges)
        assert task.taught not in task.judges[1:]


def test_captions_are_apart_from_each_other_and_from_those_that_chose_the_recipe() -> None:
    task = online.world()["people"]
    assert {captions.split_of(captions.parse(text)) for text in task.sampled()} == {"train"}
    assert {captions.split_of(captions.parse(text)) for text in task.test()} == {"test"}
    seen = {captions.caption(scene) for scene in captions.draw("test", tasks.SEEN, 0)}
    assert not seen & set(task.test()), "the recipe was chosen by these"
    assert (len(task.sampled()), len(task.test()), len(set(task.test()))) == (2000, 300, 300)


def test_what_a_run_takes_by_hand() -> None:
    """20 rounds × 64 prompts × 7 images; 20 × 16 updates × 16 pairs; 8,960 × 0.07 s + 5,120 × 0.11 s = 1,190.4 s."""
    people = online.world()["people"]
    assert (people.images, people.pairs) == (8960, 5120)
    assert people.seconds == pytest.approx(1190.4)


def test_what_a_run_of_stable_diffusion_takes_by_hand() -> None:
    """An image: 20 steps × 2 calls × 0.803 TFLOP = 32.12; a pair: 2 images × 40 calls × (1.72 + 0.803) = 201.84.

    20 × 32 × 7 images and 20 × 100 pairs: 4,480 × 32.12 + 2,000 × 201.84 = 547,577.6 TFLOP at 162.74 a second.
    """
    task = sd15()["aesthetics"]
    assert (task.images, task.pairs) == (4480, 2000)
    assert task.seconds == pytest.approx(547_577.6 / 162.74)


def test_half_the_steps_in_a_walk_take_half_the_time() -> None:
    people = online.world()["people"]
    rollout = {**people.model.tree["rollout"], "steps": 10}
    short = replace(people, model=replace(people.model, tree={**people.model.tree, "rollout": rollout}))
    assert people.seconds - short.seconds == pytest.approx(8960 * 0.07 / 2)
