"""A shop in the small world: the real one with a handful of pairs, and one whose scores are written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tastemaker.base.files import write_json
from tastemaker.reproduce import world_profile
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.choosing import CHOSEN
from tastemaker.reproduce.profile import Judge, Profile
from tastemaker.reproduce.runs import CURVE, Shop
from tastemaker.world import captions

JUDGES = (Judge("world-utility", "utility", 0.02), Judge("world-correct", "correct"))
PAIRS, BUDGET, PROMPTS = 24, 32, 4
Columns = Mapping[str, Sequence[float]]


def by_hand(out: Path, prompts: int = PROMPTS, judges: Sequence[Judge] = JUDGES) -> Shop:
    """A shop of the world profile whose scorers are never made: its scores come from `write_arm`."""
    told = {"judges": tuple(judges), "tune": lambda: ["tune"], "test": lambda: ["test"] * prompts}
    return Shop(out, replace(world_profile.profile(), **told), _never)


def _never(spec: str) -> None:
    raise AssertionError(f"{spec} is asked for")


def write_base(shop: Shop, scores: Columns, model: str = "world") -> None:
    """The base's scores."""
    write_json(shop.base(model).out, dict(scores))


def write_arm(shop: Shop, arm: Arm, seed: int, scores: Columns, step: int = 1) -> None:
    """What a finished run leaves of an arm's seed."""
    write_json(shop.place(arm, seed) / CHOSEN, {"step": step, "tune": {str(step): 0.0}})
    (shop.place(arm, seed) / "run" / "checkpoints" / f"step-{2 * step:06d}").mkdir(parents=True, exist_ok=True)
    write_json(shop.scores(arm, seed), dict(scores))


def write_curve(shop: Shop, arm: Arm, seed: int, points: Mapping[int, Columns]) -> None:
    """What a finished curve leaves of an arm's seed: step → scores."""
    write_json(shop.place(arm, seed) / CURVE, {str(step): dict(scores) for step, scores in points.items()})


def small_profile(folder: Path) -> Profile:
    """The world profile with few pairs, prompts and checkpoints; its comparisons are copied to ``folder``."""
    import pyarrow.parquet as pq

    source, real = folder / "comparisons.parquet", world_profile.profile()
    if not source.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pq.read_table(real.data).slice(0, PAIRS), source)
    model = real.models["world"]
    tree = {**model.tree, "train": {**model.tree["train"], "batch_size": 8, "warmup_steps": 0}}
    return replace(
        real,
        data=str(source),
        models={"world": replace(model, tree=tree, steps=2, rank=4)},
        rankers={"world": "world"},
        judges=JUDGES,
        tune=lambda: texts("tune"),
        test=lambda: texts("test"),
        budget=lambda _: BUDGET,
        checkpoints=2,
        candidates=lambda _: [{"beta": 300.0, "lr": 3e-3}],
        faster=None,
    )


def texts(split: captions.Split, seed: int = 5) -> list[str]:
    """A few captions."""
    return [captions.caption(scene) for scene in captions.draw(split, PROMPTS, seed)]
