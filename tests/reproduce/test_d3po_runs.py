"""D3PO's stages: what lies where, that nothing is done twice, and who is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from support.online_shop import filled, shop
from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json
from tastemaker.reproduce import d3po, d3po_runs
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import carry_out, ordered


@pytest.mark.slow
def test_a_task_is_run_judged_and_told_once(tmp_path: Path) -> None:
    made = shop(tmp_path)
    rewards = d3po.Rewards(("compressibility",))
    stages = ordered(rewards.stages(made, (0,)))
    assert [stage.name for stage in stages if "seed" in stage.name] == [
        "d3po compressibility seed 0",
        "score d3po compressibility seed 0",
    ]
    assert rewards.write(Results(made), tmp_path) == "", "nothing is finished"
    assert carry_out(stages) == 3
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "d3po").rglob("*.*")}
    assert carry_out(ordered(rewards.stages(shop(tmp_path), (0,)))) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "d3po").rglob("*.*")} == before
    _told(rewards, made, tmp_path)


def _told(rewards: d3po.Rewards, made: Shop, folder: Path) -> None:
    text = rewards.write(Results(made), folder)
    assert "| compressibility | compressibility† | 1 |" in text
    assert "(one seed)" in text
    images, means = d3po_runs.rewards(made, "compressibility")
    assert images == [0, 6], "rounds of two prompts with three images"
    assert read_json(folder / "rewards.json")["tasks"]["compressibility"]["rewards"] == means.tolist()
    assert means.shape == (1, 2)
    assert (means < 0).all(), "the negative size in kB"
    assert {"rewards.png", "rewards-compressibility.png"} <= {path.name for path in folder.iterdir()}
    rows = pq.read_table(folder / "rewards.parquet").to_pylist()
    assert len(rows) == 2 * 2 * 3, "two judges, the base and a seed, three captions"
    assert {row["seed"] for row in rows} == {-1, 0}


def test_a_killed_stage_is_done_again_with_the_same_scores(tmp_path: Path) -> None:
    made = shop(tmp_path)
    stage = d3po_runs.base(made, "people")
    stage.do()
    found = stage.out.read_bytes()
    stage.out.unlink()
    assert not stage.done
    stage.do()
    assert stage.out.read_bytes() == found


def test_tasks_share_the_bases_images_where_captions_and_sampler_are_the_same(tmp_path: Path) -> None:
    made = shop(tmp_path)
    assert {d3po_runs.base(made, name).name for name in made.profile.online} == {"score d3po base people"}
    other = replace(made.profile.online["shapes"], test=lambda: ["another caption"])
    apart = replace(made, profile=replace(made.profile, online={**made.profile.online, "shapes": other}))
    assert d3po_runs.base(apart, "shapes").name == "score d3po base shapes"
    assert d3po_runs.base(apart, "compressibility").name == "score d3po base people"


def test_all_tasks_have_one_seed_before_one_has_two(tmp_path: Path) -> None:
    stages = [stage.name for stage in d3po_runs.scored_all(shop(tmp_path), ("people", "shapes"), (0, 4))]
    assert stages[2:] == [f"score d3po {name} seed {seed}" for seed in (0, 4) for name in ("people", "shapes")]


def test_a_prompt_that_is_sampled_from_is_not_reported(tmp_path: Path) -> None:
    made = shop(tmp_path)
    task = made.profile.online["people"]
    both = replace(task, test=lambda: [*task.test(), task.sampled()[3]])
    made = replace(made, profile=replace(made.profile, online={"people": both}))
    with pytest.raises(UserError, match=rf"people: '{task.sampled()[3]}' is sampled from and reported as well; take"):
        d3po_runs.learned(made, "people", 0).do()
    assert not (tmp_path / "d3po").exists()


def test_seeds_without_the_base_are_not_finished(tmp_path: Path) -> None:
    made = filled(tmp_path, "people", [0.5, 0.5], [0.6, 0.6], [0.7, 0.7])
    assert d3po_runs.seeds_of(made, "people") == [0, 1]
    d3po_runs.base(made, "people").out.unlink()
    assert d3po_runs.seeds_of(made, "people") == []


def test_the_person_is_sure_of_great_differences_and_turns_a_fifth_round(tmp_path: Path) -> None:
    """At Δ = ±1 and τ = 0.1 σ is 1 to 5e-5, so the share is 1 − flips = 0.8 or 0.2; standard error √(.16/4000) < 0.007.

    A difference within the tie limit is answered by neither.
    """
    count = 2000
    made = filled(tmp_path, "people", [0.0] * count, [1.0] * count, [1.0] * count)
    answers = d3po_runs.answers(made, "people")
    assert answers.shape == (2, count)
    assert answers.mean() == pytest.approx(0.8, abs=0.03)
    assert not np.array_equal(answers[0], answers[1]), "another answer for each seed"
    np.testing.assert_array_equal(answers, d3po_runs.answers(made, "people"))
    worse = filled(tmp_path / "worse", "people", [1.0] * count, [0.0] * count)
    assert d3po_runs.answers(worse, "people").mean() == pytest.approx(0.2, abs=0.03)
    same = filled(tmp_path / "same", "people", [0.5] * 9, [0.501] * 9)
    assert (d3po_runs.answers(same, "people") == 0.5).all()
