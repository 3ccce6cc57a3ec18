"""Stages of D3PO's figures: runs on fresh samples, held-out images, scores, and the memory of a step.

OUT/d3po/<task>/prompts.txt                       what the rounds sample from
OUT/d3po/<task>/seed-0/run                        a run of `tastemaker d3po`
OUT/d3po/<task>/seed-0/images, scores.json        held-out prompts, by what it has learned
OUT/d3po/base-<task>/images, scores.json          the same by the base, once for all tasks that share it
OUT/d3po/memory.json                              what autograd keeps of a step
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, read_json, write_json, write_text
from tastemaker.reproduce.choosing import SCORES
from tastemaker.reproduce.online import OnlineTask
from tastemaker.reproduce.profile import Judge
from tastemaker.reproduce.results import MOST_SEEDS
from tastemaker.reproduce.runs import BASE, DRAW, Shop
from tastemaker.reproduce.stage import Needed, Stage

if TYPE_CHECKING:
    import numpy as np

    from tastemaker.train.recipe import D3po

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

FOLDER, MODEL = "d3po", "model"
MEMORY_SECONDS = 120.0


def learned(shop: Shop, name: str, seed: int) -> Stage:
    """A run of the task ``name``. Its ``do`` raises `UserError` where a prompt is sampled from and reported as well."""
    run = place(shop, name, seed) / "run"

    def learn() -> None:
        from tastemaker.train.d3po import d3po

        _write_prompts(shop, name)
        d3po(recipe(shop, name, seed), shop.build)

    task = shop.profile.online[name]
    reads = _reads(task, task.judges)
    return Stage(f"d3po {name} seed {seed}", "d3po rounds", run / "summary.json", learn, task.seconds, reads=reads)


def scored(shop: Shop, name: str, seed: int) -> Stage:
    """The held-out prompts by what a run has learned, by every judge of its task."""
    task, here = shop.profile.online[name], place(shop, name, seed)
    seconds = len(task.test()) * task.model.speed.draw
    return Stage(
        f"score d3po {name} seed {seed}",
        DRAW,
        here / SCORES,
        lambda: _judge(shop, task, task.judges, here / "run", here),
        seconds,
        (learned(shop, name, seed),),
        _reads(task, task.judges),
    )


def base(shop: Shop, name: str) -> Stage:
    """The same prompts and noise by the base, by the judges of every task that has the same."""
    task = shop.profile.online[name]
    alike = {other: each for other, each in shop.profile.online.items() if _drawn(each) == _drawn(task)}
    first = next(iter(alike))
    judges = tuple(dict.fromkeys(judge for each in alike.values() for judge in each.judges))
    here = shop.out / FOLDER / f"{BASE}-{first}"
    seconds = len(task.test()) * task.model.speed.draw
    return Stage(
        f"score d3po {BASE} {first}",
        DRAW,
        here / SCORES,
        lambda: _judge(shop, task, judges, None, here),
        seconds,
        reads=_reads(task, judges),
    )


def scored_all(shop: Shop, names: Sequence[str], seeds: Sequence[int]) -> Iterator[Stage]:
    """The base and every task, so that all have one seed before one has two."""
    yield from (base(shop, name) for name in names)
    for seed in seeds:
        yield from (scored(shop, name, seed) for name in names)


def memory(shop: Shop) -> Stage:
    """What autograd keeps at most of a training step of the first task's model, at growing numbers of steps."""
    out, task = shop.out / FOLDER / "memory.json", next(iter(shop.profile.online.values()))

    def measure() -> None:
        from tastemaker.reproduce.d3po_peaks import measure

        write_json(out, measure(task, shop.build))

    return Stage("d3po memory", "measure memory", out, measure, MEMORY_SECONDS, reads=_reads(task, task.judges))


def place(shop: Shop, name: str, seed: int) -> Path:
    """The folder of a task's seed."""
    return shop.out / FOLDER / name / f"seed-{seed}"


def recipe(shop: Shop, name: str, seed: int) -> D3po:
    """The recipe of a run."""
    from tastemaker.train.recipe import D3po

    model = shop.profile.online[name].model
    tree = {**model.tree, "model": model.base, "out": str(place(shop, name, seed) / "run")}
    tree["adapter"] = {"kind": "lora", "rank": model.rank}
    tree["rollout"] = {**model.tree["rollout"], "prompts": str(_prompts(shop, name))}
    tree["train"] = {**model.tree["train"], "seed": seed}
    return D3po.model_validate(tree)


def seeds_of(shop: Shop, name: str) -> list[int]:
    """The seeds that are finished; none where the base is not."""
    if not base(shop, name).done:
        return []
    return [seed for seed in range(MOST_SEEDS) if (place(shop, name, seed) / SCORES).exists()]


def scores(shop: Shop, name: str, judge: str) -> tuple[Floats, Floats]:
    """By one judge: the base [N], and the finished seeds [S, N], prompt by prompt."""
    import numpy as np

    found = [read_json(place(shop, name, seed) / SCORES)[judge] for seed in seeds_of(shop, name)]
    return np.array(read_json(base(shop, name).out)[judge], np.float64), np.array(found, np.float64)


def rewards(shop: Shop, name: str) -> tuple[list[int], Floats]:
    """Images sampled before each round, and the mean reward of that round's images [S, R], of the finished seeds."""
    import numpy as np

    column = f"reward/{shop.profile.online[name].taught.spec}"
    found = [_rounds(place(shop, name, seed) / "run") for seed in seeds_of(shop, name)]
    images = [int(row["images"]) for row in found[0]] if found else []
    return images, np.array([[row[column] for row in rows] for rows in found], np.float64)


def _rounds(run: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl that begin a round, with the number of images sampled before it."""
    from tastemaker.train.recipe import NAME, D3po, read_recipe

    recipe = read_recipe(run / NAME, kind=D3po)
    each = recipe.rounds.prompts * recipe.rollout.images
    lines = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [line | {"images": line["round"] * each} for line in lines if "round" in line]


def answers(shop: Shop, name: str) -> Floats:
    """[S, N]: 1 where the simulated person of the task prefers what was learned, 0 the base, ½ neither.

    One answer a seed and prompt, by the person's own temperature and mistakes, so it is at most 1 − flips on average.
    """
    import numpy as np

    from tastemaker.rollout.feedback import Simulated
    from tastemaker.rollout.simulated import Judging

    person = recipe(shop, name, 0).feedback
    assert isinstance(person, Simulated)
    judging = Judging(person.temperature, person.flips, person.tie)
    before, after = scores(shop, name, shop.profile.online[name].taught.name)
    found = [
        [
            judging.label((score, other), "preference", seed, n)
            for n, (score, other) in enumerate(zip(row, before, strict=True))
        ]
        for seed, row in zip(seeds_of(shop, name), after, strict=True)
    ]
    return np.array(found, np.float64)


def write_ledger(shop: Shop, names: Sequence[str], path: Path) -> None:
    """Every held-out score of these tasks, a row each: task, seed (−1 is the base), prompt, judge, score."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"task": name, "seed": seed, "prompt": prompt, "judge": judge.name, "score": score}
        for name in names
        for judge in shop.profile.online[name].judges
        for seed, values in _by_seed(shop, name, judge.name)
        for prompt, score in enumerate(values)
    ]
    kinds = {"task": pa.string(), "seed": pa.int8(), "prompt": pa.int32(), "judge": pa.string(), "score": pa.float32()}
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(kinds)), temporary, compression="zstd")


def _by_seed(shop: Shop, name: str, judge: str) -> list[tuple[int, list[float]]]:
    if not (seeds := seeds_of(shop, name)):
        return []
    before, after = scores(shop, name, judge)
    return list(zip([-1, *seeds], [before.tolist(), *after.tolist()], strict=True))


def _prompts(shop: Shop, name: str) -> Path:
    return shop.out / FOLDER / name / "prompts.txt"


def _write_prompts(shop: Shop, name: str) -> None:
    task, path = shop.profile.online[name], _prompts(shop, name)
    if both := sorted(set(task.sampled()) & set(task.test())):
        raise UserError(f"{name}: {both[0]!r} is sampled from and reported as well; take it out of one of the two")
    if not path.is_file():
        write_text(path, "\n".join(task.sampled()) + "\n")


def _reads(task: OnlineTask, judges: Sequence[Judge]) -> tuple[Needed, ...]:
    return (*(Needed("scorer", judge.spec) for judge in judges), Needed("model", task.model.base))


def _drawn(task: OnlineTask) -> tuple[Any, ...]:
    """All that the base's images depend on."""
    model = task.model
    return model.base, model.steps, model.guidance, model.dtype, tuple(task.test())


def _judge(shop: Shop, task: OnlineTask, judges: Sequence[Judge], adapter: Path | None, here: Path) -> None:
    """As `Shop.judge`, with the task's model and judges."""
    profile = replace(shop.profile, models={MODEL: task.model}, judges=tuple(judges))
    replace(shop, profile=profile).judge(MODEL, adapter, here / "images", task.test(), here / SCORES)
