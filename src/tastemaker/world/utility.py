"""How good an image is for a caption, from pixels alone; and whether it is simply right.

For each thing of the caption, F is how close each pixel is to the thing's colour, ``exp(−d²/2s²)`` with d the
Euclidean distance in RGB, and M a template of the thing, shifted by up to 2 pixels and scaled by 0.9–1.1:

    fit     = max over templates of  Σ min(F, M) / Σ max(F, M)          (soft intersection over union)
    ground  = mean closeness to the background's colour where no best template is
    utility = 3/4 · mean fit + 1/4 · ground                            in [0, 1]

An image is *correct* when no caption that differs in one attribute has a higher utility and the utility is at
least `PASS`: every attribute of the caption is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np

from tastemaker.world.captions import Scene, Thing, reshaped, variants
from tastemaker.world.render import COLOUR, SIDE, Array, Jitter, mask

SHARPNESS = 0.15
"""s: the distance in RGB (unit cube) at which closeness has fallen to 0.61."""
PASS = 0.5
FIT_SHARE = 0.75
SHIFTS = (-2, -1, 0, 1, 2)
SCALES = (0.9, 1.0, 1.1)


@lru_cache(maxsize=64)
def templates(size: str, shape: str, place: str) -> Array:
    """Every shifted and scaled mask of a thing: [templates, SIDE²]."""
    thing = Thing(size, "red", shape, place)
    found = [mask(thing, Jitter(dx, dy, scale)) for scale in SCALES for dx in SHIFTS for dy in SHIFTS]
    return np.stack(found).reshape(len(found), SIDE * SIDE)


def closeness(image: Array, colour: str) -> Array:
    """exp(−d²/2s²) of each pixel to a named colour: [SIDE²]."""
    square = np.square(image.reshape(-1, 3) - np.asarray(COLOUR[colour], np.float32)).sum(-1)
    return np.exp(-square / (2 * SHARPNESS**2)).astype(np.float32)


class Judge:
    """Utilities of one image for many captions; what captions share is computed once."""

    def __init__(self, image: Array) -> None:
        self.closeness = cache(lambda colour: closeness(image, colour))
        self.fit = cache(self._fit)

    def _fit(self, thing: Thing) -> tuple[float, Array]:
        near, shapes = self.closeness(thing.colour), templates(thing.size, thing.shape, thing.place)
        shared = np.minimum(near, shapes).sum(1)
        overlap = shared / (near.sum() + shapes.sum(1) - shared)
        best = int(overlap.argmax())
        return float(overlap[best]), shapes[best]

    def utility(self, scene: Scene) -> float:
        """The utility of the image for ``scene``, in [0, 1]."""
        fits = [self.fit(thing) for thing in scene.things]
        outside = 1.0 - np.max([cover for _, cover in fits], axis=0)
        ground = float((self.closeness(scene.background) * outside).sum() / outside.sum())
        return FIT_SHARE * sum(fit for fit, _ in fits) / len(fits) + (1 - FIT_SHARE) * ground

    def correct(self, scene: Scene) -> bool:
        """Whether the image shows every attribute of ``scene``."""
        value = self.utility(scene)
        return value >= PASS and all(self.utility(other) <= value for group in variants(scene) for other in group)

    def shaped(self, scene: Scene) -> bool:
        """Whether no other shape of a thing would fit better; a thing that is not there at all has none."""
        value = self.utility(scene)
        return all(self.utility(other) <= value for other in reshaped(scene))


def utilities(images: Sequence[Array], scenes: Sequence[Scene]) -> Array:
    """The utility of each image for its scene: float32 [n]."""
    return np.array([Judge(i).utility(s) for i, s in zip(images, scenes, strict=True)], np.float32)


def verdicts(images: Sequence[Array], scenes: Sequence[Scene]) -> Array:
    """1 where an image is correct for its scene, else 0: float32 [n]."""
    return np.array([Judge(i).correct(s) for i, s in zip(images, scenes, strict=True)], np.float32)


def shapes(images: Sequence[Array], scenes: Sequence[Scene]) -> Array:
    """1 where the shapes of an image are its scene's, 0 where it is abnormal: float32 [n]."""
    return np.array([Judge(i).shaped(s) for i, s in zip(images, scenes, strict=True)], np.float32)
