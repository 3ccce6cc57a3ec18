"""What a classifier of images is, and from ``name:option=value,…`` to one.

Classifiers of other installed packages are the entry points of the group ``tastemaker.classifiers``:

    [project.entry-points."tastemaker.classifiers"]
    my-classes = "my_package.classes:MyClassifier"
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast

from tastemaker.base.config import closest
from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

GROUP = "tastemaker.classifiers"
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
    """``"hf-classifier:checkpoint=x,unsafe=nsfw,gore"`` → the name, and ``{"checkpoint": "x", "unsafe": "nsfw,gore"}``.

    A piece without ``=`` goes on with the value before it. Raises `UserError` for an option without name or value.
    """
    name, colon, rest = spec.strip().partition(":")
    options: dict[str, str] = {}
    key = ""
    for piece in rest.split(",") if colon else []:
        if "=" in piece:
            key, _, value = (part.strip() for part in piece.partition("="))
            if key in options:
                raise UserError(f"classifier {spec!r}: option {key!r} stands there twice")
            options[key] = value
        elif key:
            options[key] += f",{piece.strip()}"
        if not (key and options[key]):
            raise UserError(f"classifier {spec!r}: {piece!r} is not an option; write name:option=value,option=value")
    return name, options


def build(name: str, options: dict[str, str]) -> Classifier:
    """The classifier ``name``, ours or an installed package's, with ``options``.

    Raises `UserError` for a name, option or value that does not fit, and for a class that is no classifier.
    """
    known = _known()
    if name not in known:
        raise UserError(f"classifier {name!r} is unknown{closest(name, sorted(known))}")
    try:
        cls: Any = known[name].load()
    except Exception as error:  # whatever other people's module does when it is imported
        raise UserError(f"classifier {name!r}: {known[name].value} cannot be imported ({_one_line(error)})") from None
    parameters = inspect.signature(cls, eval_str=True).parameters
    types = {key: str if own.annotation is own.empty else own.annotation for key, own in parameters.items()}
    made = cls(**{key: _value(name, types, key, text) for key, text in options.items()})
    if lacking := [attribute for attribute in NEEDED if not hasattr(made, attribute)]:
        raise UserError(f"classifier {name!r}: {known[name].value} has no {lacking[0]}; it needs {', '.join(NEEDED)}")
    return cast(Classifier, made)


def _known() -> dict[str, EntryPoint]:
    """Ours and those of installed packages; nothing of a package is imported."""
    found = {name: EntryPoint(name, target, GROUP) for name, target in CLASSIFIERS.items()}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if point.name in found:
            package = point.dist.name if point.dist else "?"
            raise UserError(f"package {package}: the name of its classifier {point.name!r} is taken; uninstall it")
        found[point.name] = point
    return found


def _value(name: str, types: dict[str, Any], key: str, text: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if key not in types:
        raise UserError(f"classifier {name!r}: option {key!r} is unknown{closest(key, sorted(types))}")
    try:
        return TypeAdapter(types[key]).validate_strings(text)
    except ValidationError as error:
        raise UserError(f"classifier {name!r}: {key}={text}: {error.errors()[0]['msg']}") from None


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
