"""What a classifier of images is, and from ``name:option=value,…`` to one.

Classifiers of other installed packages are the entry points of the group ``tastemaker.classifiers``:

    [project.entry-points."tastemaker.classifiers"]
    my-classes = "my_package.classes:MyClassifier"
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from tastemaker.base.config import closest
from tastemaker.base.errors import UserError
from tastemaker.score import entry_points, table

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

GROUP, WHAT = "tastemaker.classifiers", "classifier"
CLASSIFIERS: dict[str, str] = {
    "hf-classifier": "tastemaker.evaluate.hf_classifier:HfClassifier",
    "inception": "tastemaker.evaluate.inception_v3:InceptionV3",
}
"""Name → ``module:Class``; imported when it is built, the constructor's arguments are the options."""
NEEDED = ("id", "classes", "logits")


class Classifier(Protocol):
    """A judge of what an image shows. A row's numbers must not depend on the other rows of its batch."""

    @property
    def id(self) -> str:
        """``name@revision``; two classifiers whose numbers may differ have different ids."""

    @property
    def classes(self) -> Sequence[str]:
        """What the C classes are called."""

    def logits(self, images: Sequence[Image]) -> np.ndarray:
        """Scores before the softmax, float32 [n, C], of n RGB images."""


def parse(spec: str) -> tuple[str, dict[str, str]]:
    """``"hf-classifier:checkpoint=x"`` → the name, and ``{"checkpoint": "x"}``; `UserError` as `score.table.parse`."""
    return table.parse(spec, WHAT)


def build(name: str, options: dict[str, str]) -> Classifier:
    """The classifier ``name``, ours or an installed package's, with ``options``.

    Raises `UserError` for a name, option or value that does not fit, and for a class that is no classifier.
    """
    known = CLASSIFIERS | entry_points.installed(CLASSIFIERS, GROUP, WHAT)
    if name not in known:
        raise UserError(f"classifier {name!r} is unknown{closest(name, sorted(known))}")
    made = table.made(name, entry_points.load(name, known[name], WHAT), options, WHAT)
    if lacking := [attribute for attribute in NEEDED if not hasattr(made, attribute)]:
        raise UserError(f"classifier {name!r}: {known[name]} has no {lacking[0]}; it needs {', '.join(NEEDED)}")
    return cast(Classifier, made)
