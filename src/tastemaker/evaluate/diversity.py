"""How alike a model's images of one prompt are, and how far it has moved from the base.

A model that learns to please a scorer alone draws the same picture again and again: the score rises, diversity falls.
Both figures are means over prompts of a pluggable distance between images.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tastemaker.evaluate import images as generated
from tastemaker.evaluate.journal import Journal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Features = NDArray[np.float32]
    """One row an image."""
    Distances = NDArray[np.float64]

T = TypeVar("T")
Distance = Callable[["Features", "Features"], "Distances"]
"""Distances [m] of the rows of two arrays [m, …], of which one may be [1, …]."""
CHUNK = 32
"""Prompts measured between two durable writes."""


def rms(a: Features, b: Features) -> Distances:
    """√mean((a − b)²) over all axes but the first: of pixels in [0, 1] a number in [0, 1]."""
    import numpy as np

    square = np.square(a - b)
    found: Distances = np.sqrt(square.mean(tuple(range(1, square.ndim)))).astype(np.float64)
    return found


def cosine(a: Features, b: Features) -> Distances:
    """1 − a·b of vectors of length 1, such as a trunk's embeddings: a number in [0, 2]."""
    import numpy as np

    found: Distances = 1 - np.multiply(a, b, dtype=np.float64).sum(axis=1)
    return found


def pixels(pictures: Iterable[Image]) -> Features:
    """RGB images of one size as float32 [k, H, W, 3] in [0, 1]."""
    import numpy as np

    return np.stack([np.asarray(picture, np.float32) for picture in pictures]) / np.float32(255)


def spread(features: Features, distance: Distance) -> float:
    """Mean distance of all k (k − 1) / 2 pairs of a prompt's images; NaN for a single one."""
    import numpy as np

    rows = [distance(features[row + 1 :], features[row : row + 1]) for row in range(len(features) - 1)]
    return float(np.concatenate(rows).mean()) if rows else float("nan")


def drift(tuned: Features, base: Features, distance: Distance) -> float:
    """Mean distance of a prompt's images to the base's from the same noise; NaN where their sizes differ."""
    return float(distance(tuned, base).mean()) if tuned.shape == base.shape else float("nan")


def of_pixels(folder: Path, base: Path | None, samples: int, journal: Journal) -> tuple[Distances, Distances]:
    """`spread` and `drift` by `rms` of every prompt of an IMAGES folder, [n] each; resumable in ``journal``.

    Drift is NaN without a ``base``.
    """
    import numpy as np
    import pyarrow as pa

    for rows in _chunks(_measured(folder, base, samples, journal.rows), CHUNK):
        columns = np.array(rows, np.float64).T
        journal.append(pa.table({"spread": columns[0], "drift": columns[1]}))
    found = pa.concat_tables(journal.tables())
    return found["spread"].to_numpy(), found["drift"].to_numpy()


def of_embeddings(embeddings: Features, base: Features | None, samples: int) -> tuple[Distances, Distances]:
    """The same by `cosine`, from embeddings [n · k, D] of length 1."""
    import numpy as np

    tuned_nkd = embeddings.reshape(-1, samples, embeddings.shape[-1])
    base_nkd = tuned_nkd if base is None else base.reshape(tuned_nkd.shape)
    spreads = [spread(rows, cosine) for rows in tuned_nkd]
    drifts = [drift(rows, others, cosine) for rows, others in zip(tuned_nkd, base_nkd, strict=True)]
    return np.array(spreads), np.full(len(spreads), np.nan) if base is None else np.array(drifts)


def _measured(folder: Path, base: Path | None, samples: int, start: int) -> Iterator[tuple[float, float]]:
    """Spread and drift of the prompts from number ``start`` on."""
    others = _prompts(base, samples, start) if base else itertools.repeat(None)
    for tuned, other in zip(_prompts(folder, samples, start), others, strict=False):
        yield spread(tuned, rms), float("nan") if other is None else drift(tuned, other, rms)


def _prompts(folder: Path, samples: int, start: int) -> Iterator[Features]:
    """Pixels of each prompt's images."""
    pictures = (picture for _, shown in generated.batches(folder, start * samples, CHUNK) for picture in shown)
    return (pixels(group) for group in _chunks(pictures, samples))


def _chunks(rows: Iterator[T], size: int) -> Iterator[Sequence[T]]:
    while group := list(itertools.islice(rows, size)):
        yield group
