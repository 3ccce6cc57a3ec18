"""Inception Score: is each image clearly of one class, and are they of many? Salimans et al. 2016, arXiv 1606.03498.

The number belongs to its classifier, its number of images and of splits: only scores that share all three compare. It
does not look at the prompt, and it rises with the number of images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tastemaker.base import draw
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

RENAMED = {"crane": ("bird crane", "machine crane"), "maillot": ("maillot swimsuit", "maillot tanksuit")}
"""ImageNet has two classes of each name; in its order the first is the bird, and the swimsuit."""


@dataclass(frozen=True)
class InceptionScore:
    """Mean and population standard deviation over ``splits`` parts of ``images`` images."""

    score: float
    std: float
    images: int
    splits: int


def inception_score(logits: ArrayLike, splits: int = 10, seed: int = 0) -> InceptionScore:
    """exp(E_x KL(p(y|x) ‖ p(y))) of ``logits`` [N, C], in each of ``splits`` parts of a seeded permutation.

    p(y|x) is the softmax of a row, p(y) its mean over the part. Computed in float64 from log-probabilities, the log of
    the mean by log-sum-exp, so that a probability of 0 does no harm. `ValueError` unless 1 ≤ splits ≤ N and all logits
    are finite.
    """
    import numpy as np

    rows = np.asarray(logits, np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise ValueError("logits must be finite, one row an image")
    if not 1 <= splits <= len(rows):
        raise ValueError(f"{splits} splits of {len(rows)} images")
    order = draw.numbers(seed, "inception", len(rows)).permutation(len(rows))
    scores = np.array([_score(part) for part in np.array_split(log_softmax(rows)[order], splits)])
    return InceptionScore(float(scores.mean()), float(scores.std()), len(rows), splits)


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities [N, C] of logits."""
    from scipy.special import log_softmax as of

    found: Floats = of(logits, axis=1)
    return found


def _score(log_p: Floats) -> float:
    import numpy as np
    from scipy.special import logsumexp

    log_mean = logsumexp(log_p, axis=0) - np.log(len(log_p))
    return float(np.exp((np.exp(log_p) * (log_p - log_mean)).sum(axis=1).mean()))


def imagenet_prompts(class_names: Sequence[str]) -> list[str]:
    """A prompt, "A photo of <class name>", for each class in ImageNet's order; DDE (arXiv 2411.14871) draws 50 of each.

    The two cranes become "bird crane" and "machine crane", the two maillots "maillot swimsuit" and "maillot tanksuit".
    Raises `UserError` for another name that stands there twice: its images could not be told apart.
    """
    counts, seen, prompts = Counter(class_names), Counter[str](), []
    for name in class_names:
        if counts[name] > len(RENAMED.get(name, (name,))):
            raise UserError(f"class name {name!r} stands there {counts[name]} times; give each class its own name")
        called = RENAMED[name][seen[name]] if counts[name] > 1 else name
        seen[name] += 1
        prompts.append(f"A photo of {called}")
    return prompts
