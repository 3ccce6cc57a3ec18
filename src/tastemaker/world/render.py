"""Drawing scenes: anti-aliased shapes from signed distances, with jitter in place, size and colour.

Coordinates are in pixels, the origin at the top left corner. A mask is the share of each pixel that a
shape covers, approximated by ``clip(1/2 − distance, 0, 1)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker.world.captions import Scene, Thing

Array = NDArray[np.float32]

SIDE = 32
"""Width and height of an image in pixels."""
RADIUS = {"small": 4.2, "large": 7.0}
"""Half the extent of a shape in pixels."""
CENTRES = {"left": (8, 16), "right": (24, 16), "top": (16, 8), "bottom": (16, 24), "center": (16, 16)}
COLOUR = {
    "red": (0.88, 0.14, 0.14),
    "green": (0.14, 0.68, 0.22),
    "blue": (0.16, 0.28, 0.90),
    "yellow": (0.97, 0.85, 0.12),
    "purple": (0.62, 0.20, 0.78),
    "cyan": (0.15, 0.82, 0.86),
    "white": (0.97, 0.97, 0.97),
    "gray": (0.55, 0.55, 0.55),
    "black": (0.05, 0.05, 0.05),
    "brown": (0.45, 0.30, 0.16),
}
SHIFT, STRETCH, TINT = 1.5, 0.08, 0.03
"""Jitter: largest shift in pixels, largest relative change of size, standard deviation of each colour channel."""

_Y, _X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) + 0.5


@dataclass(frozen=True, slots=True)
class Jitter:
    """How one drawing of a thing differs from the template."""

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0


def _box(x: Array, y: Array, half_x: float, half_y: float) -> Array:
    return np.maximum(np.abs(x) - half_x, np.abs(y) - half_y)


def _triangle(x: Array, y: Array, r: float) -> Array:
    """Isosceles, pointing up: base 2.3 r wide at y = r, tip at y = −r."""
    slope = 1.15 / 2.0
    side = (np.abs(x) - slope * (y + r)) / math.hypot(1.0, slope)
    return np.maximum(side, y - r)


def distance(shape: str, x: Array, y: Array, r: float) -> Array:
    """Signed distance (approximate outside corners) to a shape of half extent ``r`` at the origin."""
    match shape:
        case "circle":
            return np.hypot(x, y) - np.float32(r)
        case "square":
            return _box(x, y, 0.9 * r, 0.9 * r)
        case "triangle":
            return _triangle(x, y, r)
        case _:
            return np.minimum(_box(x, y, 1.05 * r, 0.36 * r), _box(x, y, 0.36 * r, 1.05 * r))


def mask(thing: Thing, jitter: Jitter = Jitter()) -> Array:
    """Share of each pixel covered by ``thing``: [SIDE, SIDE] in [0, 1]."""
    centre_x, centre_y = CENTRES[thing.place]
    x, y = _X - centre_x - jitter.dx, _Y - centre_y - jitter.dy
    covered = 0.5 - distance(thing.shape, x, y, RADIUS[thing.size] * jitter.scale)
    return np.clip(covered, 0.0, 1.0).astype(np.float32)


def render(scene: Scene, random: np.random.Generator) -> Array:
    """Draw ``scene`` with jitter: [SIDE, SIDE, 3] in [0, 1]."""
    image = np.broadcast_to(_tinted(scene.background, random), (SIDE, SIDE, 3))
    for thing in scene.things:
        dx, dy = random.uniform(-SHIFT, SHIFT, 2)
        cover = mask(thing, Jitter(dx, dy, 1.0 + random.uniform(-STRETCH, STRETCH)))[..., None]
        image = (1.0 - cover) * image + cover * _tinted(thing.colour, random)
    return image.astype(np.float32)


def _tinted(name: str, random: np.random.Generator) -> Array:
    return np.clip(np.asarray(COLOUR[name]) + TINT * random.standard_normal(3), 0.0, 1.0).astype(np.float32)


def to_bytes(image: Array) -> NDArray[np.uint8]:
    """[0, 1] floats to 8-bit values."""
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
