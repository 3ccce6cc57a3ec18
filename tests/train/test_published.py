"""The recipes hold the papers' own values, as design/papers.md and the papers print them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastemaker.method.method import Method
from tastemaker.train.recipe import D3po, Recipe, d3po, read_any, read_recipe

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "recipes").rglob("*.yaml"))
QSD = ("diffusion-dpo", "qsd-dpo", "slic", "qsd-slic", "orpo", "qsd-orpo", "ipo", "kto")
SLICES = {"slice-0-10": (0, 0.1), "slice-30-40": (0.3, 0.4), "slice-50-60": (0.5, 0.6), "slice-70-80": (0.7, 0.8)}
SLICES |= {"slice-90-100": (0.9, 1), "range-200-700": (0.2, 0.7)}
DDE = ("sft", "uniform", "discounted", *SLICES, "dde", "dde-single", "dde-step")
MODELS = {"sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5", "sdxl": "stabilityai/stable-diffusion-xl-base-1.0"}


def names(*methods: str) -> list[str]:
    """The recipes of these methods, for every model that has one."""
    return [path.relative_to(ROOT / "recipes").with_suffix("").as_posix() for path in FILES if path.stem in methods]


def named(name: str) -> Recipe:
    return read_recipe(ROOT / "recipes" / f"{name}.yaml")


def test_every_published_method_and_model_has_a_recipe() -> None:
    wanted = {f"sd15/{name}" for name in (*QSD, *DDE)} | {f"sdxl/{name}" for name in ("diffusion-dpo", "qsd-dpo", *DDE)}
    assert wanted <= set(names(*QSD, *DDE))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_is_read_and_called_like_its_run(path: Path) -> None:
    recipe = read_any(path)
    assert recipe.out == f"out/runs/{path.parent.name}-{path.stem}"
    assert recipe.model == MODELS.get(path.parent.name, recipe.model)
    verb = "d3po" if isinstance(recipe, D3po) else "train"
    assert f"tastemaker {verb} recipes/{path.parent.name}/{path.name}" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("d3po-")], ids=lambda path: path.stem)
def test_d3po_has_the_papers_settings(path: Path) -> None:
    """20 DDIM steps, η 1, guidance 5, β 0.1 (0.2 on this link), ε 0.1, all steps and pairs; SD1.5: lr 3e-5, K 7.

    A round for people who click has four images a prompt, and says so: 21 pairs of a prompt are too many for them.
    """
    recipe = read_any(path)
    assert isinstance(recipe, D3po)
    assert recipe.method == d3po()
    rollout = recipe.rollout
    assert (rollout.steps, rollout.eta, rollout.guidance, recipe.rounds.pairs) == (20, 1.0, 5.0, "all")
    if path.parent.name == "sd15":
        images = 4 if path.stem == "d3po-study" else 7
        assert (recipe.train.lr, rollout.images, recipe.train.pairs_a_step) == (3e-5, images, 1)


def test_d3po_has_a_recipe_for_its_tasks() -> None:
    wanted = {"sd15/d3po-compressibility", "sd15/d3po-incompressibility", "sd15/d3po-people"}
    assert wanted <= {path.relative_to(ROOT / "recipes").with_suffix("").as_posix() for path in FILES}


@pytest.mark.parametrize("name", names(*QSD))
def test_qsd_trains_a_lora_of_rank_64_with_128_pairs_a_step_at_a_constant_rate(name: str) -> None:
    """AdamW, batch 128, lr 1e-4 (SD1.5; ORPO 1e-3) or 1e-5 (SDXL), no warm-up, one epoch, scale 1."""
    recipe = named(name)
    rate = 1e-5 if not name.startswith("sd15") else 1e-3 if "orpo" in name else 1e-4
    assert (recipe.train.pairs_a_step, recipe.train.lr, recipe.train.warmup_steps) == (128, rate, 0)
    assert recipe.adapter.kind == "lora"
    assert (recipe.adapter.rank, recipe.adapter.alpha) == (64, None)
    assert recipe.data.epochs == 1
    assert recipe.train.ema == recipe.train.drop_caption == 0


@pytest.mark.parametrize("name", names("diffusion-dpo", "qsd-dpo", "slic", "ipo", "uniform"))
def test_beta_is_2000_for_sd15_and_5000_for_larger_models(name: str) -> None:
    assert named(name).method.link.beta == (2000 if name.startswith("sd15") else 5000)  # type: ignore[union-attr]


@pytest.mark.parametrize(("stem", "pairs"), [("qsd-dpo", 51200), ("qsd-slic", 51200), ("qsd-orpo", 102400)])
def test_qsd_reads_the_best_in_order(stem: str, pairs: int) -> None:
    """5.33 % of 959 k pairs, 10.6 % for ORPO; otherwise as the baseline that reads everything in random order."""
    best, everything = named(f"sd15/{stem}"), named(f"sd15/{stem.removeprefix('qsd-').replace('dpo', 'diffusion-dpo')}")
    assert (best.data.order, best.data.max_pairs) == ("sorted", pairs)
    assert (everything.data.order, everything.data.max_pairs) == ("random", None)
    assert best.method == everything.method
    assert best.train.lr == everything.train.lr


@pytest.mark.parametrize("name", names(*DDE))
def test_dde_trains_all_weights_with_2048_pairs_a_step(name: str) -> None:
    """SD1.5 2000 and SDXL 1500 steps, constant rate after a warm-up."""
    recipe = named(name)
    assert recipe.adapter.kind == "full"
    assert recipe.train.pairs_a_step == 2048
    assert recipe.data.max_pairs == 2048 * (2000 if name.startswith("sd15") else 1500)
    assert recipe.train.warmup_steps > 0
    assert recipe.train.gradient_checkpointing


def test_the_credits_of_dde_and_its_baselines() -> None:
    credits = {name: named(f"sd15/{name}").method.credit for name in DDE}
    weights = {name: credit.weight.kind for name, credit in credits.items() if credit.weight.kind != "constant"}
    assert weights == {"discounted": "discounted", "dde": "single-shot", "dde-single": "single-shot"}
    assert {name for name, credit in credits.items() if credit.correction} == {"dde", "dde-step"}
    assert (credits["discounted"].weight.gamma, credits["discounted"].weight.grid) == (0.9, 50)  # type: ignore[union-attr]
    ranges = {name: (c.when.low, c.when.high) for name, c in credits.items() if c.when.kind == "range"}
    assert ranges == SLICES


@pytest.mark.parametrize("name", names("dde", "dde-single", "dde-step", "discounted", "sft", *SLICES))
def test_sdxl_differs_from_sd15_in_scale_alone(name: str) -> None:
    other = named(f"sd15/{Path(name).name}").method
    found = named(name).method
    assert (found.credit, found.evidence, found.link.kind) == (other.credit, other.evidence, other.link.kind)


def test_flow_models_measure_the_error_of_epsilon_so_that_beta_means_the_same() -> None:
    flow = [name for name in names("diffusion-dpo", "qsd-dpo") if name.startswith(("sd3", "flux"))]
    assert len(flow) == 4
    assert {named(name).method.credit.weight.kind for name in flow} == {"epsilon"}


def test_the_defaults_of_a_method_are_diffusion_dpo() -> None:
    assert named("sd15/diffusion-dpo").method == Method()
