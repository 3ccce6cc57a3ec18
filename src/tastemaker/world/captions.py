"""What can be said in the small world: scenes of one or two shapes, their captions, and the splits.

A caption such as ``a small blue square on the left and a large red circle on the right, gray background``
and a `Scene` say the same; `caption` and `parse` are each other's inverse.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from tastemaker.base.draw import key_bits, numbers
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np

SIZES = ("small", "large")
COLOURS = ("red", "green", "blue", "yellow", "purple", "cyan")
SHAPES = ("circle", "square", "triangle", "cross")
PLACES = ("left", "right", "top", "bottom", "center")
BACKGROUNDS = ("white", "gray", "black", "brown")
PAIRS_OF_PLACES = (("left", "right"), ("top", "bottom"))

Split = Literal["train", "tune", "test"]
SPLIT_PERCENT: dict[Split, range] = {"train": range(60), "tune": range(60, 75), "test": range(75, 100)}
SINGLES = 0.5
"""Share of captions with one object among drawn captions."""

_OBJECT = rf"a ({'|'.join(SIZES)}) ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)}) (?:on|in|at) the ({'|'.join(PLACES)})"
_CAPTION = re.compile(rf"{_OBJECT}(?: and {_OBJECT})?, ({'|'.join(BACKGROUNDS)}) background")
_PREPOSITION = {"left": "on", "right": "on", "top": "at", "bottom": "at", "center": "in"}


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape and its attributes."""

    size: str
    colour: str
    shape: str
    place: str

    def __str__(self) -> str:
        return f"a {self.size} {self.colour} {self.shape} {_PREPOSITION[self.place]} the {self.place}"


@dataclass(frozen=True, slots=True)
class Scene:
    """One or two things of different colours on a plain background."""

    things: tuple[Thing, ...]
    background: str


def caption(scene: Scene) -> str:
    """The sentence for ``scene``."""
    return f"{' and '.join(map(str, scene.things))}, {scene.background} background"


@cache
def parse(text: str) -> Scene:
    """The scene that ``text`` describes; raises `UserError` for anything but a caption of this world."""
    match = _CAPTION.fullmatch(text)
    if match is None:
        raise UserError(f"{text[:80]!r} is no caption of the small world; an example is {caption(_EXAMPLE)!r}")
    *words, background = match.groups()
    things = tuple(Thing(*words[i : i + 4]) for i in (0, 4) if words[i] is not None)
    return Scene(things, background)


def scenes() -> Iterator[Scene]:
    """Every scene of the world, in a fixed order: 960 with one thing, 15,360 with two."""
    for size, colour, shape, place, background in itertools.product(SIZES, COLOURS, SHAPES, PLACES, BACKGROUNDS):
        yield Scene((Thing(size, colour, shape, place),), background)
    looks = list(itertools.product(SIZES, COLOURS, SHAPES))
    for (first, second), a, b, background in itertools.product(PAIRS_OF_PLACES, looks, looks, BACKGROUNDS):
        if a[1] != b[1]:
            yield Scene((Thing(*a, first), Thing(*b, second)), background)


def split_of(scene: Scene) -> Split:
    """The split a scene belongs to: a function of its caption alone, so that no caption is in two."""
    percent = key_bits("split", caption(scene)) % 100
    return next(name for name, part in SPLIT_PERCENT.items() if percent in part)


@cache
def split(name: Split) -> tuple[tuple[Scene, ...], tuple[Scene, ...]]:
    """All scenes of a split: those with one thing and those with two."""
    mine = [scene for scene in scenes() if split_of(scene) == name]
    return tuple(s for s in mine if len(s.things) == 1), tuple(s for s in mine if len(s.things) == 2)


def draw(name: Split, count: int, seed: int) -> list[Scene]:
    """``count`` different scenes of a split, half of them with one thing (fewer when the split runs out)."""
    if count < 1:
        raise UserError(f"{count} captions: must be at least 1")
    singles, doubles = split(name)
    random = numbers(seed, "captions", name)
    ones = min(round(count * SINGLES), len(singles))
    if count - ones > len(doubles):
        raise UserError(f"the {name} split of the small world has {len(singles) + len(doubles)} captions, not {count}")
    chosen = [singles[i] for i in random.choice(len(singles), ones, replace=False)]
    chosen += [doubles[i] for i in random.choice(len(doubles), count - ones, replace=False)]
    return [chosen[i] for i in random.permutation(count)]


def stream(name: Split, random: np.random.Generator) -> Iterator[Scene]:
    """Scenes of a split without end, with repetition."""
    parts = split(name)
    while True:
        part = parts[int(random.random() >= SINGLES)]
        yield part[int(random.integers(len(part)))]


@cache
def variants(scene: Scene) -> tuple[tuple[Scene, ...], ...]:
    """Scenes that differ from ``scene`` in exactly one attribute, grouped by the attribute.

    With two things the place changes by exchanging the things (no third place would fit).
    """
    groups: list[tuple[Scene, ...]] = []
    for index, thing in enumerate(scene.things):
        taken = {other.colour for other in scene.things}
        choices = {"size": SIZES, "colour": [c for c in COLOURS if c not in taken], "shape": SHAPES}
        if len(scene.things) == 1:
            choices["place"] = PLACES
        for field, values in choices.items():
            others = [v for v in values if v != getattr(thing, field)]
            groups.append(tuple(_with(scene, index, dataclasses.replace(thing, **{field: v})) for v in others))
    if len(scene.things) == 2:
        a, b = scene.things
        exchanged = (dataclasses.replace(b, place=a.place), dataclasses.replace(a, place=b.place))
        groups.append((Scene(exchanged, scene.background),))
    groups.append(tuple(Scene(scene.things, other) for other in BACKGROUNDS if other != scene.background))
    return tuple(groups)


def reshaped(scene: Scene) -> tuple[Scene, ...]:
    """Scenes that differ from ``scene`` in the shape of one thing."""
    return tuple(
        _with(scene, index, dataclasses.replace(thing, shape=shape))
        for index, thing in enumerate(scene.things)
        for shape in SHAPES
        if shape != thing.shape
    )


def mistake(scene: Scene, random: np.random.Generator) -> Scene:
    """``scene`` with one attribute wrong: the attribute drawn first, then its value."""
    groups = variants(scene)
    group = groups[int(random.integers(len(groups)))]
    return group[int(random.integers(len(group)))]


def _with(scene: Scene, index: int, thing: Thing) -> Scene:
    things = list(scene.things)
    things[index] = thing
    return Scene(tuple(things), scene.background)


_EXAMPLE = Scene((Thing("small", "blue", "square", "left"), Thing("large", "red", "circle", "right")), "gray")
