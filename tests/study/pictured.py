"""Studies of real (drawn) images, made by `study.build`, and people who vote in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from support.pictures import encoded, noise
from tastemaker.study import build
from tastemaker.study.assign import Given, next_task
from tastemaker.study.db import Store
from tastemaker.study.design import Plan
from tastemaker.study.raters import invite, join
from tastemaker.study.votes import take

Choose = Callable[[Given, str], Any]
"""The answer to a task and question, in positions on the screen."""


def generated(folder: Path, seed: int, prompts: int = 4) -> Path:
    """A folder as `tastemaker generate` writes it, one image a prompt."""
    folder.mkdir(parents=True)
    rows = {
        "prompt_index": [*range(prompts)], "prompt": [f"prompt {n}" for n in range(prompts)],
        "sample": [0] * prompts, "png": [encoded(noise(seed + n)) for n in range(prompts)],
    }  # fmt: skip
    pq.write_table(pa.table(rows), folder / "images.parquet")
    (folder / "settings.json").write_text(json.dumps({"seed": 0}))
    return folder


def made(folder: Path, prompts: int = 4, **plan: Any) -> Path:
    """The study `folder/study` of the models base and tuned."""
    models = {name: generated(folder / "images" / name, seed, prompts) for name, seed in (("base", 0), ("tuned", 1000))}
    whole = Plan(**{"title": "t", "raters_per_item": 3} | plan)
    build.create(folder / "study", whole, build.from_folders(models, whole.kind))
    return folder / "study"


def better(given: Given, _: str) -> int:
    """The position of the tuned model's image."""
    return [given.item.images[place].model for place in given.shown].index("tuned")


def left(_: Given, __: str) -> int:
    return 0


def answer(store: Store, choose: Choose = better, tasks: int = 1000) -> str:
    """Somebody joins and does up to so many tasks; the rater's id."""
    rater = join(store, "somebody", invite(store), 0.0)
    for number in range(tasks):
        given = next_task(store, rater, float(number))
        if not isinstance(given, Given):
            break
        for question in store.design.asked:
            take(store, rater, given.token, {question: choose(given, question)}, 2.0, f"k {question}", float(number))
    return rater
