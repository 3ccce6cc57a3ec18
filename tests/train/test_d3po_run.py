"""What a run of rounds leaves, exports and says; people; wrong recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from support.d3po import lines, make_tree, recipe_of, run
from tastemaker.base import yaml12
from tastemaker.base.errors import UserError
from tastemaker.cli.app import main
from tastemaker.data.store import ImageStore, read_comparisons
from tastemaker.evaluate.journal import read_table
from tastemaker.rollout import rounds, shards
from tastemaker.train.convert import convert
from tastemaker.train.plan import plan


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_tree(tmp_path_factory.mktemp("d3po"))


@pytest.fixture(scope="module")
def whole(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was not stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert run(tree, out)["steps"] == 6
    return out


def test_a_round_is_a_data_folder(whole: Path) -> None:
    folder = rounds.path_of(whole, 1)
    comparisons, store = read_comparisons(folder), ImageStore(folder)
    assert {image for one in comparisons for image in one.images} <= set(store.shas)
    assert len(comparisons) == 9, "three pairs of three images for three prompts"
    assert {one.judge for one in comparisons} == {"scorer, jpeg-size"}
    rollouts = read_table(folder / rounds.ROLLOUTS).to_pylist()
    assert [(row["prompt_index"], row["sample"]) for row in rollouts] == [(p, s) for p in range(3) for s in range(3)]
    sizes = {row["sha"]: len(store.read(row["sha"])) for row in rollouts}
    assert len(sizes) > 1
    rewards = read_table(folder / rounds.REWARDS).to_pylist()
    raw = {(row["prompt_index"], row["sample"]): row["raw"] for row in rewards}
    for choice in rounds.read_choices(folder):
        a, b = raw[choice.prompt, choice.a], raw[choice.prompt, choice.b]
        assert choice.label == ("a" if a > b else "b" if b > a else "tie")


def test_what_is_logged(whole: Path) -> None:
    found = lines(whole)
    assert [line["step"] for line in found if "round" in line] == [0, 2, 4]
    assert [line["step"] for line in found if "loss" in line] == [1, 2, 3, 4, 5, 6]
    first = found[0]
    assert first.keys() == {"step", "pairs_seen", "round", "reward/jpeg-size", "diversity", "comparisons", "ties"}
    assert first["diversity"] > 0
    trained = next(line for line in found if "loss" in line)
    assert {"margin", "accuracy", "clipped", "clipped_wrong", "ratio_winner", "ratio_loser", "t"} <= trained.keys()


def test_a_shard_says_how_it_was_drawn(whole: Path) -> None:
    shard = shards.shard_path(rounds.path_of(whole, 2) / shards.FOLDER, 1) / shards.TENSORS
    with safe_open(shard, framework="pt") as file:
        told = {name: json.loads(value) for name, value in file.metadata().items()}
        latents = file.get_slice("latents").get_shape()
    assert (told["seed"], told["positions"], told["images"]) == (0, [8], 3)
    assert (told["guidance"], told["eta"], told["t"]) == (1.5, 1.0, [751, 501, 251, 1])
    assert latents[:2] == [3, 5], "one prompt was left for the second batch of two"


def test_it_is_exported_and_its_card_tells_of_the_rounds(whole: Path, tmp_path: Path) -> None:
    card = (whole / "README.md").read_text()
    assert "3 rounds of 3 prompts from `" in card
    assert "3 images each, drawn by the model as it learned" in card
    assert "kind scorer, scorers ['jpeg-size']" in card
    convert(whole, "kohya", tmp_path / "kohya")
    assert (tmp_path / "kohya" / "whole.kohya.safetensors").is_file()


def test_check_counts_and_lists(tree: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tree, tmp_path / "run")
    found = plan(recipe)
    expected = {"rounds": 3, "images drawn": 27, "read": 24, "in one step": 4, "optimizer steps": 6}
    assert found["pairs"] == expected
    assert found["missing"] == []
    promised = {Path(name).name for name in found["writes"]}
    assert {path.name for path in whole.iterdir()} - {".lock"} == promised
    assert tree["rollout"]["prompts"] in found["reads"]
    guided, plain = (
        plan(recipe_of(tree, tmp_path / "run", rollout={"guidance": scale}))["memory"]["activations (rough), GB"]
        for scale in (1.5, 1.0)
    )
    assert guided == pytest.approx(2 * plain, abs=2e-3)


@pytest.mark.parametrize(
    ("verb_name", "change", "said"),
    [
        ("train", {}, "a recipe of tastemaker d3po, not of tastemaker train"),
        ("d3po", {"rollout": None}, "rollout: missing; give it a value"),
        ("d3po", {"method": {}}, "method.evidence.kind: denoising reads ranked pairs, not rounds"),
        ("d3po", {"train": {"drop_caption": 0.1}}, "train.drop_caption: a sampled step has its prompt"),
        ("d3po", {"rollout": {"prompts": "p.txt", "eta": 0}}, "rollout.eta: 0 should be greater than 0"),
        (
            "d3po",
            {"rollout": {"prompts": "p.txt", "images": 1}},
            "rollout.images: 1 should be greater than or equal to 2",
        ),
        ("d3po", {"feedback": {"kind": "vote"}}, "feedback.kind: 'vote' is unknown"),
        ("d3po", {"rounds": {"cuont": 2}}, "rounds.cuont: unknown field, did you mean 'count'?"),
        ("check", {"rounds": {"cuont": 2}}, "rounds.cuont: unknown field, did you mean 'count'?"),
    ],
)
def test_a_wrong_recipe_is_one_line_and_exit_code_2(
    tree: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], verb_name: str, change: Any, said: str
) -> None:
    changed = {
        name: value for name, value in (tree | change | {"out": str(tmp_path / "run")}).items() if value is not None
    }
    (tmp_path / "recipe.yaml").write_text(yaml12.dump(changed))
    assert main([verb_name, str(tmp_path / "recipe.yaml")]) == 2
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1
    assert said in printed[0]
    assert not (tmp_path / "run").exists()


def test_the_verb_runs_a_recipe_and_says_what_it_waits_for(
    tree: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tree | {"feedback": {"kind": "file"}, "out": str(tmp_path / "run")}
    (tmp_path / "recipe.yaml").write_text(yaml12.dump(people))
    assert main(["d3po", str(tmp_path / "recipe.yaml"), "--rounds.count", "1", "--rounds.prompts", "1"]) == 0
    assert "no label yet; fill it in and run the same command again" in capsys.readouterr().out
    (rounds.path_of(tmp_path / "run", 0) / "choices.csv").write_text("image_a,image_b,label\n00000-0,00009-1,a\n")
    assert main(["d3po", str(tmp_path / "recipe.yaml"), "--rounds.count", "1", "--rounds.prompts", "1"]) == 2
    assert "choices.csv" in capsys.readouterr().err


def test_old_trajectories_go_and_the_rest_stays(whole: Path) -> None:
    there = [(rounds.path_of(whole, number) / shards.FOLDER).exists() for number in range(3)]
    assert there == [False, True, True]
    assert all((rounds.path_of(whole, number) / rounds.GRID).is_file() for number in range(3))


def test_people_are_waited_for_and_their_choices_trained_on(tree: dict[str, Any], tmp_path: Path) -> None:
    people, out = tree | {"feedback": {"kind": "file"}}, tmp_path / "run"
    for number in range(3):
        told = run(people, out)
        assert (
            told["waiting"]
            == f"{rounds.path_of(out, number)}: choices.csv: no label yet; fill it in and run the same command again"
        )
        assert told["steps"] == 2 * number
        table = rounds.path_of(out, number) / "choices.csv"
        rows = table.read_text().splitlines()
        table.write_text("\n".join([rows[0], *(row + "ab"[at % 2] for at, row in enumerate(rows[1:]))]) + "\n")
    assert run(people, out)["steps"] == 6
    assert [line["step"] for line in lines(out) if "round" in line] == [0, 2, 4]
    assert {one.judge for one in read_comparisons(rounds.path_of(out, 0))} == {"file"}


def test_rounds_without_a_decision_are_told(tree: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"round-000: none of 9 comparisons was decided, so there is nothing to learn"):
        run(tree, tmp_path, feedback={"tie": 1e6})


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"rollout": {"prompts": "nowhere.txt"}}, r"rollout.prompts: nowhere.txt: no such file"),
        ({"rollout": {"steps": 1001}}, r"rollout.steps: 1001: this model's noise process has 1000"),
        ({"feedback": {"scorers": ["no-such"]}}, r"scorer 'no-such' is unknown"),
        ({"rounds": {"watch": ["jpeg-size:quality=0"]}}, r"quality=0"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_written(
    tree: dict[str, Any], tmp_path: Path, sections: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        run(tree, tmp_path / "run", **sections)
    assert not (tmp_path / "run" / "rounds").exists()
