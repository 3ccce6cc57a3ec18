"""A study of images of two models in which nobody is asked: simulated raters, who go through it as people would.

What an image is worth to them, by question:

    preference   its true utility for the caption
    alignment    whether it shows every attribute of the caption; a tie where both do or neither does
    appeal       how small it is as JPEG: plain, unspoilt areas. A stand-in that sees no caption, not a taste

They tell apart what differs by more than a limit, and err in one answer of ten (`study.simulated.Noisy`). They see what
people would: images of the study's own folder, on the sides that the study draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.reproduce.runs import Build

if TYPE_CHECKING:
    import numpy as np

    from tastemaker.study.db import Store
    from tastemaker.study.design import Design, Question
    from tastemaker.study.vote import Vote

QUESTIONS: tuple[Question, ...] = ("preference", "appeal", "alignment")
PROMPTS, RATERS, SEED = 100, 5, 0
"""Of the paper: prompts, raters a pair; and the seed by which prompts, order and sides are drawn."""
FLIPS = 0.1
TRUTHS = {"preference": "world-utility", "alignment": "world-correct", "appeal": "jpeg-size:prefer=small"}
TIES = {"preference": 0.02, "alignment": 0.0, "appeal": 0.02}
"""Largest difference that is a tie; of appeal in kB."""
SECONDS = 4.0
"""What the database is told that an answer took."""


def categories(captions: Sequence[str]) -> dict[str, str]:
    """Caption of the world → one or two things, on a light or a dark ground: four, as the paper has four styles."""
    from tastemaker.world.captions import parse

    scenes = {text: parse(text) for text in captions}
    light = ("white", "gray")
    return {
        text: f"{'one thing' if len(scene.things) == 1 else 'two things'}, "
        f"{'light' if scene.background in light else 'dark'} ground"
        for text, scene in scenes.items()
    }


def prompts(texts: Sequence[str], named: Mapping[str, str], count: int = PROMPTS) -> list[str]:
    """``count`` of ``texts``, drawn, equally many of each category; all are alike where ``named`` is empty.

    Where there are fewer, equally many of each all the same: as many as the smallest category has. Where there are more
    categories than ``count``, all are alike. Raises `UserError` when one has none.
    """
    groups = sorted(set(named.values()))
    if not 0 < len(groups) <= count:
        named, groups = {}, [""]
    there = {name: [text for text in dict.fromkeys(texts) if named.get(text, "") == name] for name in groups}
    each = min(count // len(groups), *map(len, there.values()))
    if not each:
        raise UserError(f"study: no test prompt of {min(groups, key=lambda name: len(there[name])) or 'any kind'}")
    found: list[str] = []
    for name, some in there.items():
        order = draw.numbers(SEED, "study prompts", name).permutation(len(some))
        found += [some[place] for place in order[:each]]
    return found


def make(study: Path, folders: Mapping[str, Path], named: Mapping[str, str], count: int = PROMPTS) -> Design:
    """The study of the images in ``folders`` (model → folder of `generate`) of the prompts that `prompts` draws."""
    from tastemaker.study.build import create, from_folders
    from tastemaker.study.design import Plan

    source = from_folders(folders, "pair", named)
    chosen = set(prompts([task.prompt for task in source.tasks], named, count))
    plan = Plan(title="Which image is better?", questions=QUESTIONS, raters_per_item=RATERS, seed=SEED)
    return create(study, plan, replace(source, tasks=[task for task in source.tasks if task.prompt in chosen]))


def worth(build: Build, study: Path, design: Design) -> dict[tuple[str, int], tuple[float, ...]]:
    """(question, item) → what each of its images is worth, in places of the item, from the study's own images."""
    from tastemaker.data.store import ImageStore
    from tastemaker.evaluate.images import open_png
    from tastemaker.score.batches import score_batch

    store = ImageStore(study / "data")
    rows = [(item, image) for item in design.items for image in item.images]
    pictures = [open_png(store.read(image.sha)) for _, image in rows]
    texts = [item.prompt for item, _ in rows]
    found: dict[tuple[str, int], tuple[float, ...]] = {}
    for question, spec in TRUTHS.items():
        scores = iter(score_batch(build(spec), texts, pictures).tolist())
        found |= {(question, item.id): tuple(next(scores) for _ in item.images) for item in design.items}
    return found


def simulate(study: Path, values: Mapping[tuple[str, int], Sequence[float]], seed: int) -> list[Vote]:
    """Let `RATERS` simulated people answer every task, one after the other; all votes.

    What a person says is a function of (seed, person, item, question) and of the sides, which the design fixes: since
    people come one after the other, person k has slot k of every item.
    """
    from tastemaker.study import raters, votes
    from tastemaker.study.db import open_study

    store = open_study(study)
    try:
        for person in range(RATERS):
            rater = raters.join(store, f"simulated {person}", raters.invite(store), 0.0)
            _go_through(store, rater, values, (seed, person))
        names = raters.names(store)
        return [replace(vote, rater=f"seed {seed}, {names[vote.rater]}") for vote in votes.every(store)]
    finally:
        store.close()


def _go_through(
    store: Store, rater: str, values: Mapping[tuple[str, int], Sequence[float]], key: tuple[int, int]
) -> None:
    from tastemaker.study import votes
    from tastemaker.study.assign import Given, next_task

    for number in itertools.count():
        given = next_task(store, rater, float(number))
        if not isinstance(given, Given):
            return
        item = given.item.id
        said = {
            question: answer(
                question,
                [values[question, item][place] for place in given.shown],
                draw.numbers(*key, "simulated study", item, question),
            )
            for question in store.design.asked
        }
        votes.take(store, rater, given.token, said, SECONDS, f"{number}", float(number))


def answer(question: str, scores: Sequence[float], numbers: np.random.Generator) -> Any:
    """What a simulated person says to ``question`` of a pair whose images, from the left, are worth ``scores``."""
    from tastemaker.study.simulated import Noisy, Seen

    return Noisy(tie=TIES[question], flips=FLIPS).answer(Seen("pair", (tuple(scores),)), numbers)
