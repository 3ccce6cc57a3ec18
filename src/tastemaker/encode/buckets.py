"""Aspect buckets: the few shapes, of about the square's area, that images are cut to when they are not cut square.

Podell et al. 2023, arXiv:2307.01952, section 2.3; the shapes follow from the model and from no data.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, log

from tastemaker.base.errors import UserError
from tastemaker.encode.geometry import Size

WIDEST = 2
"""Aspect of the widest bucket; the tallest has its inverse."""
STEPS = (8, 4, 2)
"""Multiples, in latent pixels, that a bucket's sides may have to be."""


def bucket_step(resolution: int, factor: int) -> int:
    """Pixels that the sides of buckets are multiples of, for a model whose autoencoder shrinks by ``factor``.

    8 latent pixels, so 64 pixels at factor 8, as usual and as three halvings in a UNet need; fewer, but an even number
    of latent pixels, where the square has not eight such steps.
    """
    side = resolution // factor
    return factor * next((step for step in STEPS if 8 * step <= side), STEPS[-1])


def bucket_sizes(resolution: int, factor: int) -> list[Size]:
    """The square and, for every longer side, the largest shorter one within the square's area; both ways up; sorted.

    No bucket holds more pixels than the square, so what fits into memory as a square fits in any shape. Raises
    `UserError` when ``resolution`` is no multiple of the step, or leaves no shape but the square.
    """
    step = bucket_step(resolution, factor)
    if resolution % step:
        raise UserError(
            f"--buckets: resolution {resolution} is not a multiple of {step}; give --resolution one that is"
        )
    longer = range(resolution, WIDEST * resolution, step)
    wide = [(resolution**2 // width // step * step, width) for width in longer]
    wide = [(height, width) for height, width in wide if width <= WIDEST * height]
    if len(wide) == 1:
        raise UserError(f"--buckets: resolution {resolution} leaves no shape but the square; leave the option out")
    return sorted({*wide, *((width, height) for height, width in wide)})


def bucket_of(sizes: Sequence[Size], buckets: Sequence[Size]) -> Size:
    """The bucket whose aspect is nearest, as a logarithm, to the geometric mean aspect of images of ``sizes``.

    Those are the two images of a pair, which share a bucket whoever won, or a single one.
    """
    wanted = fsum(map(log_aspect, sizes)) / len(sizes)
    return min(buckets, key=lambda bucket: abs(log_aspect(bucket) - wanted))


def log_aspect(size: Size) -> float:
    """log(width / height)."""
    height, width = size
    return log(width / height)
