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

NAMES = ("diffusion_dpo", "qsd_dpo", "sft")


@pytest.fixture(params=NAMES)
def recipe(root: Path, request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(root / "recipes" / f"{request.param}.yaml")


def named(root: Path, name: str, *overrides: str) -> Recipe:
    return read_recipe(root / "recipes" / f"{name}.yaml", overrides)


def test_every_recipe_has_the_published_setting(recipe: Recipe) -> None:
    """DPO-QSD: SD1.5, AdamW, batch 128, constant 1e-4 without warm-up, LoRA rank 64 (scale 1), one epoch."""
    assert recipe.model == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert recipe.train.pairs_a_step == 128
    assert (recipe.train.lr, recipe.train.warmup_steps) == (1e-4, 0)
    assert recipe.adapter.kind == "lora"
    assert (recipe.adapter.rank, recipe.adapter.alpha) == (64, None)
    assert recipe.data.epochs == 1
    assert recipe.method.credit.when.kind == "uniform"
    assert recipe.train.ema == recipe.train.drop_caption == 0


@pytest.mark.parametrize("name", ["diffusion_dpo", "qsd_dpo"])
def test_dpo_has_beta_2000_and_plain_labels(root: Path, name: str) -> None:
    link = named(root, name).method.link
    assert link.kind == "logistic"
    assert (link.beta, link.label_smoothing) == (2000, 0)


def test_qsd_reads_the_best_51200_in_order_400_steps_of_128(root: Path) -> None:
    recipe = named(root, "qsd_dpo")
    assert recipe.data.order == "sorted"
    assert recipe.data.max_pairs == 51200 == 400 * recipe.train.pairs_a_step


def test_the_baseline_reads_everything_in_random_order(root: Path) -> None:
    recipe = named(root, "diffusion_dpo")
    assert (recipe.data.order, recipe.data.max_pairs) == ("random", None)


def test_sft_differs_from_dpo_in_the_link_alone(root: Path) -> None:
    dpo, sft = named(root, "diffusion_dpo"), named(root, "sft")
    assert (sft.method.needs_loser, sft.method.needs_reference) == (False, False)
    assert sft.method.credit == dpo.method.credit
    assert (sft.data, sft.adapter) == (dpo.data, dpo.adapter)
    changed = {"batch_size", "accumulate"}
    assert sft.train.model_dump(exclude=changed) == dpo.train.model_dump(exclude=changed)


def test_the_defaults_are_the_published_ones() -> None:
    assert Settings().pairs_a_step == 128
    assert Settings().lr == 1e-4


def test_a_written_recipe_reads_back_equal(recipe: Recipe, tmp_path: Path) -> None:
    write_yaml(tmp_path / "recipe.yaml", recipe)
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


def test_overrides_reach_nested_fields(root: Path) -> None:
    recipe = named(root, "qsd_dpo", "--train.lr", "1e-5", "--method.link.beta", "5000", "--data.max_pairs=256")
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
    (["--train.betas", "[0.9, 1.0]"], "betas: [0.9, 1.0] are not both in [0, 1); the usual ones are"),
    (["--train.sample_prompts", "[]"], "sample_every: 50 needs prompts to draw; give sample_prompts or set"),
    (["--adapter", "{kind: full}"], "adapter.kind: full trains float32 weights, which dtype: bfloat16 would round"),
    (["--method.evidence.reference", "none"], "link 'logistic' compares with a reference"),
    (["--out", "out/pickapic/cache"], "out: out/pickapic/cache is also data.cache; give the run a folder of its own"),
    (["--out", "out/pickapic/../pickapic/best"], "is also data.pairs"),
]


@pytest.mark.parametrize(("overrides", "message"), PROBLEMS)
def test_a_wrong_recipe_is_one_line_with_file_path_value_and_way_out(
    root: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError) as raised:
        named(root, "qsd_dpo", *overrides)
    text = str(raised.value)
    assert text.startswith(f"{root}/recipes/qsd_dpo.yaml: ")
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
    assert difference(recipe, changed(recipe, lr=1e-3)) == "train.lr: 0.0001 (now 0.001)"


def test_reading_a_recipe_imports_no_heavy_library(root: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tastemaker.train.recipe import read_recipe; "
        f"read_recipe(Path({str(root / 'recipes' / 'sft.yaml')!r})); "
        "print([name for name in ('torch', 'numpy', 'pyarrow', 'diffusers', 'transformers') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_document_names_every_field_and_every_recipe(root: Path) -> None:
    text = (root / "docs" / "training.md").read_text()
    fields = {row.name for row in describe(Recipe)} - {"data", "adapter", "train"}
    wanted = {name for name in fields if not name.startswith(("method.", "adapter("))}
    assert [name for name in sorted(wanted) if f"`{name}`" not in text] == []
    assert [path.name for path in (root / "recipes").glob("*.yaml") if f"`recipes/{path.name}`" not in text] == []


def test_the_document_gives_the_defaults(root: Path) -> None:
    text = (root / "docs" / "training.md").read_text()
    row = re.compile(r"^\| `train\.(\w+)` \| ([^|]+) \|", re.M)
    for name, default in row.findall(text):
        value = Settings.model_fields[name].default
        words = {"yes": True, "no": False, "`auto`": "auto"}
        assert (words[default] if default in words else float(default)) == value, name
