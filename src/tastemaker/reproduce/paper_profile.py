"""The papers' own scale: Stable Diffusion 1.5 and XL on Pick-a-Pic v2, in GPU-hours.

Each base model stands here twice: trained as in DPO-QSD (LoRA, 1 epoch) and as in DDE (all weights, arXiv 2411.14871).
The numbers are those of `recipes/sd15` and `recipes/sdxl`; the tests compare them field by field. What the papers do
not say is ours, as the recipes tell: rate and warm-up of DDE, β of its single-shot weight, the number of checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.reproduce import online
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.gallery import imagenet
from tastemaker.reproduce.profile import Judge, Model, Profile, Room, Settings, Speed
from tastemaker.reproduce.sizes import FLOAT32_USED, SIZES, TFLOPS, VIT_H, VIT_L, Size

if TYPE_CHECKING:
    from tastemaker.evaluate.prompts import PromptSet

DATA, SPLIT, PAIRS, CAPTIONS = "yuvalkirstain/pickapic_v2", "train", 959_500, 58_000
BASES = {"sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5", "sdxl": "stabilityai/stable-diffusion-xl-base-1.0"}
STEP = 128
SHARES = {0.0533: 400 * STEP / PAIRS, 0.106: 800 * STEP / PAIRS, 0.16: 1200 * STEP / PAIRS}
"""The paper's shares are whole hundreds of steps, rounded down in print: 51,200 pairs are 5.336 %."""
CHECKPOINTS = 8
"""Ours: every 50 steps of DPO-QSD's 400, as in the recipes."""
RANKERS = {"HPSv2": "hpsv2", "ImageReward": "imagereward", "PickScore": "pickscore", "Aesthetic": "aesthetic"}
JUDGES = (
    Judge("pickscore", "PickScore", about="preference, by Pick-a-Pic's people; it chooses checkpoints"),
    Judge("hpsv2", "HPSv2", scale=100.0, about="preference, by HPD v2's people; it ranks QSD's pairs"),
    Judge("imagereward", "ImageReward", about="preference, by ImageReward's people"),
    Judge("aesthetic", "Aesthetic", about="looks alone, by LAION's head"),
    Judge("clip", "CLIP", about="cosine of prompt and image"),
)
"""The first is what claims rest on: both papers print PickScore, and it does not rank the pairs that QSD keeps."""
BASIS = {
    "measured": (
        f"{TFLOPS:g} TFLOP/s of the card in bfloat16; 32.2 pairs/s of an SD1.5 LoRA, which is 21 % of that, 1.6 of an "
        "SDXL LoRA with gradient checkpointing, 11 %, and 6.8 of all of SD1.5's weights in float32, 6 % "
        "(docs/results/gpu.md)"
    ),
    "counted": (
        "FLOPs of U-Net, encoder and scorers (BLIP as a ViT-L/14) at these shares, also for drawing, encoding and "
        "scoring; reading, decoding, text encoders and the decoder are left out"
    ),
    "disk": "counted: cache, checkpoints, and images at 3 bytes a pixel; the imported pictures come on top",
}
NAMES = {"sd15": "Stable Diffusion 1.5", "sdxl": "Stable Diffusion XL"}
PIPELINES = {"sd15": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}
INCEPTION = "inception"
FULL = "-full"
GUIDANCE = {"sd15": 7.5, "sdxl": 5.0}
RATES = {"sd15": 1e-4, "sdxl": 1e-5}
BETAS = {"sd15": 2000.0, "sdxl": 5000.0}
FULL_RATE, ORPO_RATE, ORPO_WEIGHT = 2e-5, 1e-3, 0.1
SINGLE_SHOT, KTO = 0.1, 0.5
"""Of β: the single-shot weight reaches 2.1e2 near pure noise; KTO's link does not halve."""
BATCH = {"sd15": (8, 16), "sdxl": (2, 64)}
FULL_BATCH, WARM_UP, FULL_STEPS = 2048, 100, {"sd15": 2000, "sdxl": 1500}


def profile(
    base: Sequence[str],
    data: str,
    tune: Path | None,
    test: Path | None,
    *,
    names: Path | None = None,
    classifier: str = INCEPTION,
    safety: str = "",
) -> Profile:
    """The profile ``paper``; ``base`` are ``sd15=FOLDER`` and ``sdxl=FOLDER`` for models that lie on disk.

    ``tune`` and ``test`` are files of prompts as `evaluate.prompts.read_prompts` reads them. The Inception Score is of
    the class names in the file ``names`` by ``classifier``, unsafe images are told by ``safety``; both are specs.
    Everything that lies on disk is looked at here. Raises `UserError` for what is not there, and for a prompt that is
    in both files.
    """
    places, (split, pairs), (tuning, shown) = _bases(base), _count(data), _prompts(tune, test)
    testing = shown.prompts
    return Profile(
        name="paper",
        data=data,
        split=split,
        pairs=pairs,
        images=2 * pairs,
        models=_models(places),
        rankers=RANKERS,
        judges=JUDGES,
        chosen_by="PickScore",
        tune=lambda: list(tuning),
        test=lambda: list(testing),
        budget=lambda arm: budget(arm, pairs),
        checkpoints=CHECKPOINTS,
        candidates=candidates,
        faster=None,
        devices="one H200",
        share=lambda paper: SHARES.get(paper, paper),
        cut=lambda share: {"count": round(share * pairs)},
        ranks={32: 32, 64: 64, 256: 256},
        papers={"qsd": tuple(BASES), "dde": tuple(name + FULL for name in BASES)},
        basis=BASIS,
        once=lambda arm: not arm.model.endswith(FULL),
        online=online.sd15(places["sd15"], lambda: tuning, lambda: testing),
        groups=lambda: _styles(shown),
        gallery=imagenet(names, classifier) if names else None,
        safety=safety,
    )


def budget(arm: Arm, pairs: int = PAIRS) -> int:
    """Pairs that a run reads: DPO-QSD's each once, DDE's 2000 (SDXL 1500) steps of 2048."""
    if arm.model.endswith(FULL):
        return FULL_STEPS[arm.model.removesuffix(FULL)] * FULL_BATCH
    return max(1, (arm.pairs.passes or 1) * round(arm.pairs.share * pairs))


def candidates(arm: Arm) -> list[Settings]:
    """The one setting of the papers (or the recipes'): nothing is tuned at this scale."""
    name = arm.model.removesuffix(FULL)
    rate = RATES[name] if name == arm.model else FULL_RATE
    if arm.loss == "sft":
        return [{"lr": rate}]
    if arm.loss == "orpo":
        return [{"weight": ORPO_WEIGHT, "lr": ORPO_RATE}]
    beta = BETAS[name] * (SINGLE_SHOT if arm.scale[1] == "single-shot" else 1.0)
    return [{"beta": beta * (KTO if arm.loss == "kto" else 1.0), "lr": rate}]


def _models(places: Mapping[str, str]) -> dict[str, Model]:
    adapted = {name: _model(name, place, *_lora(name)) for name, place in places.items()}
    return adapted | {name + FULL: _model(name, place, *_full(name)) for name, place in places.items()}


def _lora(name: str) -> tuple[dict[str, Any], float, float]:
    """Recipe, seconds a pair and weights of a run of DPO-QSD; the reference is a forward pass without the LoRA."""
    size, (batch, accumulate) = SIZES[name], BATCH[name]
    train: dict[str, Any] = {"batch_size": batch, "accumulate": accumulate, "warmup_steps": 0}
    checkpointing = name == "sdxl"
    train |= {"gradient_checkpointing": True} if checkpointing else {}
    pair = 2 * (size.recomputed if checkpointing else size.lora) + 2 * size.forward
    return {"dtype": "bfloat16", "train": train}, size.seconds(pair), size.lora_weights


def _full(name: str) -> tuple[dict[str, Any], float, float]:
    """The same of DDE: gradient checkpointing runs the policy forward twice, the frozen model once."""
    size, (batch, _) = SIZES[name], BATCH[name]
    train = {"batch_size": batch, "accumulate": FULL_BATCH // batch, "warmup_steps": WARM_UP}
    train |= {"gradient_checkpointing": True}
    tree = {"dtype": "float32", "adapter": {"kind": "full"}, "train": train}
    return tree, size.seconds(2 * (size.full + size.forward) + 2 * size.forward, FLOAT32_USED), size.weights


def _model(name: str, place: str, tree: dict[str, Any], pair: float, weights: float) -> Model:
    size, steps = SIZES[name], 50
    judging, ranking = 2 * VIT_H + 3 * VIT_L, (2 * VIT_H + 2 * VIT_L) / len(RANKERS)
    drawing = 2 * steps * size.forward + judging  # with guidance each step is two calls
    return Model(
        base=place,
        tree=tree,
        rank=64,
        steps=steps,
        guidance=GUIDANCE[name],
        speed=Speed(pair, *map(size.seconds, (drawing, size.encode, ranking))),
        dtype="bfloat16",
        room=_room(size, weights),
    )


def _room(size: Size, weights: float) -> Room:
    """Mean and deviation of four channels at an eighth of the side; weights and AdamW's two moments; all in float32."""
    latent, embeds = 2 * 4 * (size.side // 8) ** 2, size.prompt * CAPTIONS / (2 * PAIRS)
    return Room(cached=4 * (latent + embeds), drawn=3 * size.side**2, checkpoint=3 * 4 * weights)


def _bases(given: Sequence[str]) -> dict[str, str]:
    """Name → hub id or folder; a folder is opened."""
    from tastemaker.backbone.source import find, pipeline_class

    places = dict(BASES)
    for word in given:
        name, equals, place = word.partition("=")
        if name not in BASES or not equals:
            raise UserError(f"--base {word}: write {' and '.join(f'{known}=FOLDER' for known in BASES)}")
        if not Path(place).exists():
            raise UserError(f"--base {word}: no such folder; give the one that pipeline.save_pretrained wrote")
        if (kind := pipeline_class(find(place, None))) != PIPELINES[name]:
            raise UserError(f"--base {word}: holds a {kind}; give {NAMES[name]}, a {PIPELINES[name]}")
        places[name] = place
    return places


def _count(data: str) -> tuple[str | None, int]:
    """Split and number of rows of what is to be imported; the hub's Pick-a-Pic v2 is known."""
    from tastemaker.data.readers import open_source

    if data == DATA:
        return SPLIT, PAIRS
    if not Path(data).exists():
        raise UserError(f"--data {data}: no such file or folder; give one, or leave it out for {DATA}")
    opened, split = open_source(data), None
    if opened.format == "pickapic" and Path(data).is_dir():
        opened, split = open_source(data, split=SPLIT), SPLIT
    if not opened.rows:
        raise UserError(f"--data {data}: how many rows it has is not known beforehand; give Parquet files")
    return split, opened.rows


def _prompts(tune: Path | None, test: Path | None) -> tuple[tuple[str, ...], PromptSet]:
    """The distinct prompts by which checkpoints are chosen, and those that are reported."""
    from tastemaker.evaluate.prompts import read_prompt_set

    if tune is None or test is None:
        name = "--tune-prompts" if tune is None else "--test-prompts"
        raise UserError(f"{name}: the paper profile needs a file of prompts, such as Pick-a-Pic's unique ones")
    tuning, testing = (read_prompt_set(path).distinct() for path in (tune, test))
    reported = set(testing.prompts)
    if both := [prompt for prompt in tuning.prompts if prompt in reported]:
        raise UserError(
            f"--tune-prompts {tune}: {both[0]!r} is in --test-prompts {test} too ({len(both)} such); checkpoints must "
            "be chosen on prompts that are not reported, so take it out of one"
        )
    return tuning.prompts, testing


def _styles(found: PromptSet) -> dict[str, str]:
    """Prompt → style, as HPSv2's benchmark has four; empty where the file has none."""
    styles = found.groups.get("style", ())
    return {prompt: style for prompt, style in zip(found.prompts, styles, strict=False) if style}
