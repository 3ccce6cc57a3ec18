from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.training import make_task, recipe_of
from tastemaker.base.config import write_yaml
from tastemaker.cli.app import main
from tastemaker.train.plan import plan


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_task(tmp_path_factory.mktemp("task"), pairs=10)


@pytest.fixture
def recipe(tree: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    write_yaml(path, recipe_of(tree, tmp_path / "run", accumulate=3))
    return path


def test_it_counts_pairs_and_steps(tree: dict[str, Any], tmp_path: Path) -> None:
    """Ten pairs twice in steps of 2 × 3 = 6: 20 pairs, 4 steps."""
    found = plan(recipe_of(tree, tmp_path / "run", accumulate=3))
    assert found["pairs"] == {"available": 10, "read": 20, "in one step": 6, "optimizer steps": 4}
    assert found["missing"] == []


def test_it_knows_the_trained_parameters(tree: dict[str, Any], tmp_path: Path) -> None:
    from tastemaker.train.training import train

    recipe = recipe_of(tree, tmp_path / "run")
    assert plan(recipe)["memory"]["trained parameters"] == train(recipe)["trained_parameters"]


def test_it_lists_what_train_then_writes(tree: dict[str, Any], tmp_path: Path) -> None:
    from tastemaker.train.training import train

    recipe = recipe_of(tree, tmp_path / "run")
    promised = {Path(name).name for name in plan(recipe)["writes"]}
    train(recipe)
    assert {path.name for path in (tmp_path / "run").iterdir()} - {".lock"} == promised


def test_it_prints_and_runs_nothing(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(recipe), "--train.lr", "0.5"]) == 0
    printed = capsys.readouterr().out
    for said in ("optimizer steps", "optimizer, GB", "recipe.yaml", "0.5"):
        assert said in printed
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


def test_a_missing_input_is_one_line_and_exit_code_2(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(recipe), "--data.pairs", str(tmp_path / "nowhere")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "nowhere/pairs.parquet: no such file; make it with: tastemaker rank" in told


@pytest.mark.parametrize("verb", ["check", "train"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train.lrr", "1"], "recipe.yaml: train.lrr: unknown field, did you mean 'lr'?"),
        (["--train.lr", "fast"], "recipe.yaml: train.lr: 'fast' should be a valid number"),
        (["--adapter", "{kind: full}", "--dtype", "bfloat16"], "recipe.yaml: adapter.kind: full trains float32"),
        (["--model", "nowhere/at/all"], "model: nowhere/at/all: no model_index.json here"),
    ],
)
def test_a_wrong_recipe_is_one_line_and_exit_code_2(
    verb: str, arguments: list[str], message: str, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, str(recipe), *arguments]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert message in told


@pytest.mark.parametrize("verb", ["check", "train"])
def test_a_recipe_that_is_not_there(verb: str, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, str(recipe.with_name("recipes.yaml"))]) == 2
    assert "recipes.yaml: no such file, did you mean 'recipe.yaml'?" in capsys.readouterr().err


def test_check_imports_no_torch(recipe: Path) -> None:
    script = (
        "import sys; from tastemaker.cli.app import main; "
        f"code = main(['check', {str(recipe)!r}]); "
        "print(code, [name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "0 []"


def test_help_lists_the_recipes_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    printed = capsys.readouterr().out
    for field in ("--data.order", "--adapter(lora).rank", "--method.link(logistic).beta", "--train.accumulate"):
        assert field in printed
