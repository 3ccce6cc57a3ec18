"""Rounds of plain images for people to judge, and people who answer by the shades."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from support.voters import joined, vote
from tastemaker.base import files
from tastemaker.rollout.asking import Asked
from tastemaker.rollout.choices import Choice
from tastemaker.rollout.feedback import Round
from tastemaker.study.db import Store, open_study
from tastemaker.study.vote import Answer, Item


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(buffer, format="png")
    return buffer.getvalue()


SHADES = {files.sha256_bytes(png(shade)): shade for shade in range(40)}


def a_round(run: Path, *shades: list[int], **named: Any) -> Round:
    """A prompt a row; an image is its shade of red."""
    settings = {"folder": run / "rounds/round-000", "number": 0, "seed": 0, "rewards": {}}
    settings |= {"prompts": [f"prompt {p}" for p in range(len(shades))]}
    return Round(**settings | {"pngs": [[png(shade) for shade in row] for row in shades]} | named)


@contextmanager
def opened(round: Round) -> Iterator[Store]:
    store = open_study(round.folder / "study")
    yield store
    store.close()


def brighter(item: Item) -> Answer | None:
    """Of a pair the brighter; shades less than 2 apart are a tie."""
    a, b = (SHADES[image.sha] for image in item.images)
    return "tie" if abs(a - b) < 2 else int(b > a)


def best(item: Item) -> Answer | None:
    return max(range(len(item.images)), key=lambda place: SHADES[item.images[place].sha])


def ranking(item: Item) -> Answer | None:
    return tuple(sorted(range(len(item.images)), key=lambda place: -SHADES[item.images[place].sha]))


def dark(item: Item) -> Answer | None:
    """Images darker than 5 have wrong hands."""
    return tuple((place, "hands") for place, image in enumerate(item.images) if SHADES[image.sha] < 5)


def asked_and_answered(feedback: Asked, round: Round, says: Any, people: int = 1) -> list[Choice] | str:
    assert isinstance(feedback.choices(round), str)
    with opened(round) as store:
        for rater in joined(store, people):
            vote(store, rater, says)
    return feedback.choices(round)
