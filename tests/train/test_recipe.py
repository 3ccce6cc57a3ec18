from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tastemaker.base.config import write_yaml
from tastemaker.base.errors import UserError
from tastemaker.base.fields import describe
from tastemaker.train.config import Settings
from tastemaker.train.recipe import Recipe, difference, read_recipe

NAMES = ("sd15/diffusion-dpo", "sd15/kto", "sdxl/dde", "flux/qsd-dpo")


@pytest.fixture(params=NAMES)
def recipe(root: Path, request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(root / "recipes" / f"{request.param}.yaml")


def named(root: Path, name: str, *overrides: str) -> Recipe:
    return read_recipe(root / "recipes" / f"{name}.yaml", overrides)


def test_the_defaults_are_the_published_ones() -> None:
    assert Settings().pairs_a_step == 128
    assert Settings().lr == 1e-4


def test_a_written_recipe_reads_back_equal(recipe: Recipe, tmp_path: Path) -> None:
    write_yaml(tmp_path / "recipe.yaml", recipe)
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


def test_overrides_reach_nested_fields(root: Path) -> None:
    recipe = named(root, "sd15/qsd-dpo", "--train.lr", "1e-5", "--method.link.beta", "5000", "--data.max_pairs=256")
    assert (recipe.train.lr, recipe.method.link, recipe.data.max_pairs) == (
        1e-5,
        recipe.method.link.model_copy(update={"beta": 5000}),
        256,
    )


PROBLEMS: list[tuple[list[str], str]] = [
    (["--train.learning_rate", "1"], "train.learning_rate: unknown field"),
    (["--method.link.betta", "1"], "method.link.betta: unknown field, did you mean 'beta'?"),
    (["--train.lr", "fast"], "train.lr: 'fast' should be a valid number"),
    (["--train.batch_size", "0"], "train.batch_size: 0 should be greater than or equal to 1"),
    (["--train.optimizer.betas", "[0.9, 1.0]"], "betas: [0.9, 1.0] are not both in [0, 1); the usual ones are"),
    (["--train.sample_prompts", "[]"], "sample_every: 50 needs prompts to draw; give sample_prompts or set"),
    (["--adapter", "{kind: full}"], "adapter.kind: full trains float32 weights, which dtype: bfloat16 would round"),
    (["--method.evidence.reference", "none"], "link 'logistic' compares with a reference"),
    (
        ["--out", "out/pickapic/cache-sd15"],
        "out: out/pickapic/cache-sd15 is also data.cache; give the run a folder of its own",
    ),
    (["--out", "out/pickapic/../pickapic/best"], "is also data.pairs"),
]


@pytest.mark.parametrize(("overrides", "message"), PROBLEMS)
def test_a_wrong_recipe_is_one_line_with_file_path_value_and_way_out(
    root: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError) as raised:
        named(root, "sd15/qsd-dpo", *overrides)
    text = str(raised.value)
    assert text.startswith(f"{root}/recipes/sd15/qsd-dpo.yaml: ")
    assert message in text
    assert "\n" not in text


def changed(recipe: Recipe, **train: Any) -> Recipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=train)})


def test_identity_leaves_out_what_does_not_decide_the_result(recipe: Recipe) -> None:
    moved = changed(recipe, device="cuda:1", checkpoint_every=7, keep_checkpoints=9).model_copy(update={"out": "x"})
    assert moved.identity() == recipe.identity()
    assert difference(recipe, moved) is None
    assert changed(recipe, seed=1).identity() != recipe.identity()


def test_difference_names_field_and_both_values(recipe: Recipe) -> None:
    assert difference(recipe, changed(recipe, lr=1e-3)) == f"train.lr: {recipe.train.lr} (now 0.001)"


def test_reading_a_recipe_imports_no_heavy_library(root: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tastemaker.train.recipe import read_recipe; "
        f"read_recipe(Path({str(root / 'recipes' / 'sd15' / 'sft.yaml')!r})); "
        "print([name for name in ('torch', 'numpy', 'pyarrow', 'diffusers', 'transformers') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_document_names_every_field(root: Path) -> None:
    text = (root / "docs" / "training.md").read_text()
    fields = {re.sub(r"^train\.optimizer\(.*?\)", "train.optimizer", row.name) for row in describe(Recipe)}
    fields -= {"data", "adapter", "train", "card"}
    wanted = {name for name in fields if not name.startswith(("method.", "adapter("))}
    assert [name for name in sorted(wanted) if f"`{name}`" not in text] == []


def test_the_document_gives_the_defaults(root: Path) -> None:
    text = (root / "docs" / "training.md").read_text()
    row = re.compile(r"^\| `train\.(\w+)` \| ([^|]+) \|", re.M)
    for name, default in row.findall(text):
        value = Settings.model_fields[name].default
        words = {"yes": True, "no": False, "`auto`": "auto"}
        assert (words[default] if default in words else float(default)) == value, name
