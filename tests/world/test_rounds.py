"""The world's own D3PO: stages, files, and that a second call runs nothing again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.cli.scorers import build
from tastemaker.rollout.feedback import Simulated
from tastemaker.world import captions, rounds
from tastemaker.world.render import render
from tastemaker.world.scorer import Shapes
from tastemaker.world.utility import Judge

TINY = rounds.Size(prompts=3, train_prompts=8, sampling_steps=2, rounds=1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round of two prompts with three images and four steps."""
    whole = rounds.recipe

    def recipe(*given):
        found = whole(*given)
        rollout = found.rollout.model_copy(update={"images": 3, "steps": 4, "prompts_at_once": 2})
        one = found.rounds.model_copy(update={"prompts": 2, "updates": 1})
        return found.model_copy(update={"rollout": rollout, "rounds": one})

    monkeypatch.setattr(rounds, "recipe", recipe)


@pytest.mark.parametrize("task", ["people", "compressibility"])
def test_a_task_is_run_judged_and_told(small: None, tmp_path: Path, task: str) -> None:
    found = rounds.learn(tmp_path, task, build, (0,), TINY)
    place = tmp_path / task
    table = (place / "table.md").read_text()
    assert all(build(spec).id in table for spec in rounds.TASKS[task].scorers)
    assert {path.name for path in place.iterdir()} == {"seed-0", "table.md", "curve.png", "pictures.png"}
    assert found["win rate"]["seed 0"] in table
    weights = place / "seed-0" / "run" / "pytorch_lora_weights.safetensors"
    before = weights.stat().st_mtime_ns
    again = rounds.learn(tmp_path, task, build, (0,), TINY)
    assert again["win rate"] == found["win rate"]
    assert weights.stat().st_mtime_ns == before


def test_captions_to_learn_from_are_none_of_those_that_prove(small: None, tmp_path: Path) -> None:
    rounds.learn(tmp_path, "people", build, (0,), TINY)
    learned = (tmp_path / "prompts.txt").read_text().splitlines()
    assert {captions.split_of(captions.parse(text)) for text in learned} == {"train"}
    table = rounds.TASKS["people"].scorers
    assert table[0] == "world-utility"


def test_the_judge_of_each_task() -> None:
    recipes = {task: rounds.recipe(Path("out"), task, 3, rounds.Size()) for task in rounds.TASKS}
    assert isinstance(recipes["people"].feedback, Simulated)
    assert [recipes[task].rounds.count for task in ("people", "shapes", "compressibility")] == [20, 16, 8]
    assert recipes["shapes"].feedback.scorers == ("world-shapes",)
    for task, prefer in (("compressibility", "small"), ("incompressibility", "large")):
        assert recipes[task].feedback.scorers == (f"jpeg-size:prefer={prefer}",)
    assert {recipe.train.seed for recipe in recipes.values()} == {3}


def test_an_unknown_task_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such task; there are people, shapes, compressibility, incompressibility"):
        rounds.learn(tmp_path, "beauty", build)


def test_a_wrong_shape_is_flagged_and_a_wrong_background_is_not() -> None:
    right = wrong = other = 0
    for number, scene in enumerate(captions.draw("test", 40, 0)):
        random = np.random.default_rng(number)
        right += Judge(render(scene, random)).shaped(scene)
        wrong += Judge(render(captions.reshaped(scene)[0], random)).shaped(scene)
        other += Judge(render(captions.variants(scene)[-1][0], random)).shaped(scene)
    assert right >= 39
    assert wrong <= 1
    assert other >= 36


def test_the_flag_is_a_scorer() -> None:
    scene = captions.draw("test", 1, 0)[0]
    image = (render(scene, np.random.default_rng(0)) * 255).astype(np.uint8)
    pictures = [Image.fromarray(image), Image.new("RGB", (32, 32), "black")]
    assert Shapes().score([captions.caption(scene)] * 2, pictures).tolist()[0] == 1.0
