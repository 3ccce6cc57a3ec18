"""The papers' own scale: its numbers against the recipes, and those of its costs by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.published import SD15, SDXL
from tastemaker.base.config import read_yaml
from tastemaker.reproduce import online, sizes
from tastemaker.reproduce import paper_profile as paper
from tastemaker.reproduce.arm import CREDITS, SLICES, Arm, Pairs
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.reproduce import exhibits
from tastemaker.train.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
RUNS_OWN = {"seed", "checkpoint_every", "keep_checkpoints", "sample_every", "sample_prompts"}
"""Of a recipe's `train`: what a run of `reproduce` sets itself, and the grids that it does not draw."""
BEST, MORE = Pairs("best", "HPSv2", 0.0533), Pairs("best", "HPSv2", 0.106)
CREDIT_FILES = {
    "sft": ("uniform", "sft"),
    "uniform": ("uniform", "dpo"),
    "discounted": ("discounted", "dpo"),
    "dde": ("dde", "dpo"),
    "dde-single": ("dde-single", "dpo"),
    "dde-step": ("dde-step", "dpo"),
    "range-200-700": ("range-200-700", "dpo"),
    **{f"slice-{100 * low:.0f}-{100 * high:.0f}": (f"slice-{low:.1f}-{high:.1f}", "dpo") for low, high in SLICES},
}


def cases() -> Iterator[tuple[str, Arm]]:
    """Every recipe that is no D3PO, and the arm that it is."""
    for name, loss in {"diffusion-dpo": "dpo", "ipo": "ipo", "kto": "kto", "orpo": "orpo", "slic": "slic"}.items():
        yield f"sd15/{name}", Arm("sd15", loss=loss)
    yield from (("sd15/qsd-dpo", Arm("sd15", BEST)), ("sd15/qsd-slic", Arm("sd15", BEST, "slic")))
    yield "sd15/qsd-orpo", Arm("sd15", MORE, "orpo")
    yield from (("sdxl/diffusion-dpo", Arm("sdxl")), ("sdxl/qsd-dpo", Arm("sdxl", BEST)))
    for base, (name, (credit, loss)) in itertools.product(("sd15", "sdxl"), CREDIT_FILES.items()):
        yield f"{base}/{name}", Arm(f"{base}-full", credit=credit, loss=loss)


CASES = dict(cases())


@pytest.fixture
def prompts(tmp_path: Path) -> tuple[Path, Path]:
    tune, test = tmp_path / "tune.txt", tmp_path / "test.txt"
    tune.write_text("a fox\na harbour\n")
    test.write_text("a sailor\na bowl\na hill\n")
    return tune, test


@pytest.fixture
def profile(prompts: tuple[Path, Path]) -> Profile:
    return paper.profile((), paper.DATA, *prompts)


def recipe_of(profile: Profile, arm: Arm) -> Recipe:
    """What the profile says of an arm as a recipe, with the shares of the paper turned into the profile's."""
    model, (settings,) = profile.models[arm.model], profile.candidates(arm)
    strength = {name: value for name, value in settings.items() if name != "lr"}
    share = profile.share(arm.pairs.share)
    pairs = Pairs(arm.pairs.kind, arm.pairs.scorer, share)
    budget = profile.budget(Arm(arm.model, pairs, arm.loss, arm.credit))
    tree: dict[str, Any] = {**model.tree, "model": model.base, "method": arm.method(strength), "out": "out"}
    tree.setdefault("adapter", {"kind": "lora", "rank": model.rank})
    order = "sorted" if pairs.kind == "best" else "random"
    epochs = -(-budget // round(share * profile.pairs))
    tree["data"] = {"pairs": "p", "cache": "c", "order": order, "epochs": epochs, "max_pairs": budget}
    tree["train"] = {**model.tree["train"], "lr": settings["lr"]}
    return Recipe.model_validate(tree)


def test_every_recipe_of_the_two_papers_has_an_arm() -> None:
    files = {path.relative_to(ROOT / "recipes").with_suffix("").as_posix() for path in ROOT.glob("recipes/sd*/*.yaml")}
    assert {name for name in files if not name.startswith("sd3/") and "/d3po" not in name} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_numbers_are_those_of_the_recipe_field_by_field(name: str, profile: Profile) -> None:
    made, published = recipe_of(profile, CASES[name]), Recipe.model_validate(read_yaml(ROOT / f"recipes/{name}.yaml"))
    ours, theirs = made.model_dump(), published.model_dump()
    assert made.method.needs_reference == published.method.needs_reference
    if not published.method.needs_reference:  # then the word for it says nothing
        ours["method"].pop("evidence"), theirs["method"].pop("evidence")
    for field in ("model", "dtype", "adapter", "method"):
        assert ours[field] == theirs[field], field
    for field in ours["train"].keys() - RUNS_OWN:
        assert ours["train"][field] == theirs["train"][field], field
    assert (ours["data"]["order"], ours["data"]["epochs"]) == (theirs["data"]["order"], theirs["data"]["epochs"])
    read = theirs["data"]["max_pairs"] or paper.PAIRS  # none: all pairs, once
    assert ours["data"]["max_pairs"] == read
    if name.endswith("/qsd-dpo"):
        assert theirs["train"]["checkpoint_every"] == read // 128 // profile.checkpoints


def test_shares_are_whole_hundreds_of_steps_that_print_as_the_paper_does() -> None:
    """400 · 128 / 959,500 = 5.336 %, 800 · 128 / 959,500 = 10.672 %, 1200 · 128 / 959,500 = 16.008 %."""
    for printed, share in paper.SHARES.items():
        steps = share * paper.PAIRS / 128
        assert steps == pytest.approx(100 * round(steps / 100))
        assert share == pytest.approx(printed, rel=0.007)
        assert share >= printed


def test_every_arm_has_one_setting_and_a_recipe(profile: Profile) -> None:
    arms = {arm for exhibit in exhibits(profile) for arm in exhibit.arms}
    assert {arm.model for arm in arms} == {"sd15", "sdxl", "sd15-full", "sdxl-full"}
    for arm in arms:
        assert len(profile.candidates(arm)) == 1
        assert arm.credit in CREDITS
        recipe_of(profile, arm)


def test_tables_are_of_the_models_of_their_paper(profile: Profile) -> None:
    for exhibit in exhibits(profile):
        full = {arm.model.endswith("-full") for arm in exhibit.arms}
        assert full <= {exhibit.paper == "dde"}, exhibit.key
    keys = [exhibit.key for exhibit in exhibits(profile)]
    assert len(keys) == len(set(keys))
    assert {"table1-sd15", "table1-sdxl", "table2", "dde-sd15-full", "samples-sdxl"} <= set(keys)


def test_settings_of_one_base_share_what_does_not_depend_on_training(profile: Profile) -> None:
    likes = {name: profile.first_like(name) for name in profile.models}
    assert likes == {"sd15": "sd15", "sdxl": "sdxl", "sd15-full": "sd15", "sdxl-full": "sdxl"}


def test_speed_by_hand(profile: Profile) -> None:
    """SD1.5 LoRA: 2 · 1.72 + 2 · 0.803 = 5.046 TFLOP a pair at 0.206 · 790 = 162.74 TFLOP/s: 32.25 pairs/s.

    SDXL with checkpointing 2 · 19.3 + 2 · 6.76 = 52.12 at 0.107 · 790 = 84.53: 1.622, measured 1.625. All weights of
    SD1.5: 2 · (2.41 + 0.803) + 2 · 0.803 = 8.032 at 0.0556 · 790 = 43.92: 5.469. An image: 100 · 0.803 + 2 · 0.335 +
    3 · 0.162 = 81.456 TFLOP.
    """
    speeds = {name: model.speed for name, model in profile.models.items()}
    assert 1 / speeds["sd15"].pair == pytest.approx(32.25, abs=0.01)
    assert 1 / speeds["sdxl"].pair == pytest.approx(1.622, abs=0.001)
    assert 1 / speeds["sd15-full"].pair == pytest.approx(5.469, abs=0.001)
    assert speeds["sd15"].draw == pytest.approx(81.456 / 162.74)
    assert speeds["sd15"].encode == pytest.approx(1.12 / 162.74)


def test_speed_of_d3po_by_hand_and_from_the_same_figures() -> None:
    """20 steps with and without the prompt: 40 · 0.803 / 162.74 an image; a pair 2 · 40 · (1.72 + 0.803) / 162.74."""
    assert online.SD15_SPEED.draw == pytest.approx(40 * 0.803 / 162.74)
    assert online.SD15_SPEED.pair == pytest.approx(80 * 2.523 / 162.74)
    assert online.SIZE is sizes.SIZES["sd15"]
    assert f"{sizes.TFLOPS:g} TFLOP/s" in paper.BASIS["measured"]


def test_disk_by_hand(profile: Profile) -> None:
    """SD1.5: latents 2 · 4 · 64 · 64 = 32,768 numbers; of 58,000 prompts 77 · 768 for 1,919,000 images 1,787.3."""
    room = profile.models["sd15"].room
    assert room.cached == pytest.approx(4 * (32_768 + 1_787.3), rel=1e-5)
    assert room.drawn == 3 * 512 * 512
    assert room.checkpoint == 12 * 12_754_944


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_numbers_of_weights_are_those_of_the_published_shapes(name: str) -> None:
    """U-Nets of the published shapes without memory; a LoRA of rank 64 adds 64 · (in + out) a layer."""
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(**{"sd15": SD15, "sdxl": SDXL}[name])
    ends = ("to_q", "to_k", "to_v", "to_out.0")
    layers = [layer for where, layer in unet.named_modules() if where.endswith(ends)]
    assert sizes.SIZES[name].weights == sum(weight.numel() for weight in unet.parameters())
    assert sizes.SIZES[name].lora_weights == sum(64 * sum(layer.weight.shape) for layer in layers)
