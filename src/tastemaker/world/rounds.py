"""D3PO in the small world: learning from choices on fresh samples, over several seeds, proved on held-out captions.

    OUT/prompts.txt                         captions of the train split
    OUT/base                                the base model's images of held-out captions
    OUT/<task>/seed-0/run                   a run of `tastemaker d3po`
    OUT/<task>/seed-0/images, evaluation    the same captions from the same noise, against the base
    OUT/<task>/table.md, curve.png, pictures.png

Every stage is a verb that recognises its finished output, so the whole goes on where it was stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, locked, read_json, write_text
from tastemaker.base.progress import bar
from tastemaker.world.assets import BASE_MODEL, D3PO

if TYPE_CHECKING:
    from PIL.Image import Image

    from tastemaker.rollout.rounds import Build
    from tastemaker.train.recipe import D3po


@dataclass(frozen=True)
class Task:
    """Who judges, what is measured on held-out images (the first is what it was taught), and what else is changed."""

    feedback: Mapping[str, Any]
    scorers: tuple[str, ...]
    changes: Mapping[str, Any]


def _jpeg(prefer: str) -> Task:
    spec = f"jpeg-size:prefer={prefer}"
    credit = {"when": {"kind": "range", "low": 0.12, "high": 0.85}, "correction": {"kind": "ratio-clip"}}
    changes = {"rounds.watch": ["world-utility"], "rounds.count": 8, "method.credit": credit}
    return Task({"kind": "scorer", "scorers": [spec]}, (spec, "world-utility"), changes)


TASKS: dict[str, Task] = {
    "people": Task({}, ("world-utility", "world-correct", "world-shapes"), {}),
    "shapes": Task(
        {"kind": "simulated", "scorer": "world-shapes", "temperature": 0.1, "flips": 0.1},
        ("world-shapes", "world-utility", "world-correct"),
        {"rounds.count": 16},
    ),
    "compressibility": _jpeg("small"),
    "incompressibility": _jpeg("large"),
}
"""``people`` is the recipe as it is: a simulated person who goes by utility and makes mistakes. In ``shapes`` one flags
images with a wrong shape, and is wrong in a tenth of the comparisons. In the others the JPEG size is judged, and less
noisy steps are read as well, because texture counts."""
EPSILON = {"world-utility": 0.02}
SEEN = 300
"""Held-out captions by which the recipe's settings were chosen (the demo's with seed 0); the proof has others."""
SHOWN = 10


@dataclass(frozen=True)
class Size:
    """How large it is: held-out captions, captions to sample from, denoising steps of the proof, and the recipe's."""

    prompts: int = 300
    train_prompts: int = 2000
    sampling_steps: int = 20
    rounds: int | None = None


def learn(out: Path, task: str, build: Build, seeds: Sequence[int] = (0, 1, 2), size: Size = Size()) -> dict[str, Any]:
    """Run ``task`` for ``seeds`` into ``out``; finished runs are left alone. Returns win rates against the base.

    Raises `UserError` for a task that is not in `TASKS`.
    """
    from tastemaker.train.d3po import d3po

    started = time.monotonic()
    if task not in TASKS:
        raise UserError(f"{task}: no such task; there are {', '.join(TASKS)}")
    texts = held_out(size.prompts)
    with locked(out):
        if not (out / "prompts.txt").is_file():
            write_text(out / "prompts.txt", "\n".join(sampled(size.train_prompts)) + "\n")
    _draw(texts, out / "base", None, size)
    for seed in bar(seeds, f"d3po {task}", unit="seed"):
        place = out / task / f"seed-{seed}"
        d3po(recipe(out, task, seed, size), build)
        _draw(texts, place / "images", place / "run", size)
        _judge(out, place, task, build)
    return {"task": task, "out": str(out), "seconds": time.monotonic() - started, **tell(out, task, seeds)}


def recipe(out: Path, task: str, seed: int, size: Size) -> D3po:
    """The world's D3PO recipe with the task's judge."""
    from tastemaker.train.recipe import D3po

    found = tree(task)
    found["rollout"]["prompts"] = str(out / "prompts.txt")
    found["train"]["seed"] = seed
    found["rounds"]["count"] = found["rounds"]["count"] if size.rounds is None else size.rounds
    places = {"model": str(BASE_MODEL), "out": str(out / task / f"seed-{seed}" / "run")}
    return D3po.model_validate(found | places)


def tree(task: str) -> dict[str, Any]:
    """The world's D3PO recipe with the judge of ``task``; whose model, prompts, seed and out the caller says."""
    from tastemaker.base.config import read_yaml

    found, chosen = read_yaml(D3PO), TASKS[task]
    for name, value in chosen.changes.items():
        section, _, field = name.partition(".")
        found[section] = {**found[section], field: value}
    return found | ({"feedback": dict(chosen.feedback)} if chosen.feedback else {})


@cache
def sampled(count: int = Size.train_prompts) -> tuple[str, ...]:
    """The captions of the train split that runs sample from."""
    from tastemaker.world import captions

    return tuple(captions.caption(scene) for scene in captions.draw("train", count, 0))


@cache
def held_out(count: int = Size.prompts) -> tuple[str, ...]:
    """The captions that prove: of the test split, none of those by which settings were chosen."""
    from tastemaker.world import captions

    seen = set(captions.draw("test", SEEN, 0))
    fresh = [scene for scene in captions.draw("test", SEEN + count, 1) if scene not in seen]
    return tuple(captions.caption(scene) for scene in fresh[:count])


def _draw(texts: Sequence[str], images: Path, adapter: Path | None, size: Size) -> None:
    from tastemaker.evaluate.generating import generate

    generate(BASE_MODEL, texts, images, adapter=adapter, steps=size.sampling_steps, guidance=1.0, batch_size=50)


def _judge(out: Path, place: Path, task: str, build: Build) -> None:
    from tastemaker.evaluate.evaluation import evaluate

    scorers, taught = [build(spec) for spec in TASKS[task].scorers], TASKS[task].scorers[:1]
    epsilon = {name: value for name, value in EPSILON.items() if name in TASKS[task].scorers}
    trained_with = [build(spec).id for spec in taught]
    folders = [out / "base", place / "images"]
    evaluate(folders, scorers, place / "evaluation", names=["base", "d3po"], epsilon=epsilon, trained_with=trained_with)


def tell(out: Path, task: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Write table, curve and pictures of what has run; returns the win rate of each seed."""
    found = {seed: read_json(out / task / f"seed-{seed}" / "evaluation" / "metrics.json")["results"] for seed in seeds}
    write_text(out / task / "table.md", _table(found))
    _curve(out / task, seeds)
    with atomic_file(out / task / "pictures.png") as temporary:
        places = [out / task / f"seed-{seed}" / "images" for seed in seeds]
        side_by_side([out / "base", *places]).save(temporary, format="png")
    first = {seed: next(row for row in rows if row["against_base"]) for seed, rows in found.items()}
    return {"win rate": {f"seed {seed}": _interval(row["against_base"], "win_rate") for seed, row in first.items()}}


def _table(found: Mapping[int, Sequence[Mapping[str, Any]]]) -> str:
    lines = ["| scorer | seed | base | d3po | mean difference (95 %) | win rate (95 %) |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for seed, rows in found.items():
        base = {row["scorer"]: row["mean"] for row in rows if not row["against_base"]}
        for row in (row for row in rows if row["against_base"]):
            versus = row["against_base"]
            cells = (_interval(versus, "mean_difference"), _interval(versus, "win_rate"))
            lines.append(
                f"| {row['scorer']} | {seed} | {base[row['scorer']]:.3f} | {row['mean']:.3f} | {' | '.join(cells)} |"
            )
    return "\n".join(lines) + "\n"


def _interval(versus: Mapping[str, float], name: str) -> str:
    return f"{versus[name]:.3f} ({versus[f'{name}_low']:.3f} to {versus[f'{name}_high']:.3f})"


def _curve(folder: Path, seeds: Sequence[int]) -> None:
    """Rewards of fresh samples and their diversity against images sampled, a line a seed."""
    from matplotlib.figure import Figure

    runs = {seed: rounds_of(folder / f"seed-{seed}" / "run") for seed in seeds}
    panels = [name for name in next(iter(runs.values()))[0] if name.startswith("reward/") or name == "diversity"]
    canvas = Figure(figsize=(4.2 * len(panels), 3), layout="constrained", dpi=110)
    for axes, panel in zip(canvas.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for seed, rows in runs.items():
            axes.plot([row["images"] for row in rows], [row[panel] for row in rows], marker=".", label=f"seed {seed}")
        axes.set(title=panel.removeprefix("reward/"), xlabel="images sampled before")
        axes.grid(alpha=0.3)
    axes.legend()
    with atomic_file(folder / "curve.png") as temporary:
        canvas.savefig(temporary, format="png")


def rounds_of(run: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl that begin a round, with the number of images sampled before it."""
    from tastemaker.train.recipe import NAME, D3po, read_recipe

    recipe = read_recipe(run / NAME, kind=D3po)
    each = recipe.rounds.prompts * recipe.rollout.images
    lines = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [line | {"images": line["round"] * each} for line in lines if "round" in line]


def side_by_side(folders: Sequence[Path]) -> Image:
    """The same captions and noise, a row for each folder of images."""
    from tastemaker.evaluate.contact_sheet import grid
    from tastemaker.evaluate.images import first_samples

    rows = [first_samples(folder, range(SHOWN)) for folder in folders]
    return grid([row[index][1] for row in rows for index in sorted(row)], columns=len(rows[0]))
