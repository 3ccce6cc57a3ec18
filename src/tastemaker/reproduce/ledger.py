"""Every score behind the tables, one row a prompt: what is committed, so that each figure can be worked out again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tastemaker.base.files import atomic_file, read_json
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.choosing import CHOSEN, checkpoints
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import BASE, Shop

NAME = "scores.parquet"


def write(results: Results, arms: Iterable[Arm], path: Path) -> None:
    """A row for each prompt of each finished arm and seed: arm, seed, reported step, prompt, and a column a judge.

    The base models have seed −1 and step −1.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    shop, judges = results.shop, [judge.name for judge in results.shop.profile.judges]
    named = list(dict.fromkeys(arms))
    places: list[tuple[str, int, int, Path]] = [
        (f"{model}-{BASE}", -1, -1, stage.out) for model in shop.profile.models if (stage := shop.base(model)).done
    ]
    for arm in named:
        for seed in results.seeds_of(arm):
            places.append((arm.name, seed, _step(shop, arm, seed), shop.scores(arm, seed)))
    columns: dict[str, list[Any]] = {name: [] for name in ("arm", "seed", "step", "prompt", *judges)}
    for name, seed, step, scores in places:
        found = read_json(scores)
        count = len(found[judges[0]])
        for column, value in (("arm", name), ("seed", seed), ("step", step)):
            columns[column] += [value] * count
        columns["prompt"] += range(count)
        for judge in judges:
            columns[judge] += found[judge]
    kinds = {"seed": pa.int8(), "step": pa.int32(), "prompt": pa.int32()} | dict.fromkeys(judges, pa.float32())
    table = pa.table({name: pa.array(values, kinds.get(name)) for name, values in columns.items()})
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _step(shop: Shop, arm: Arm, seed: int) -> int:
    place = shop.place(arm, seed)
    return checkpoints(place / "run")[-1][0] if arm.last else int(read_json(place / CHOSEN)["step"])
