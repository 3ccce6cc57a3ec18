"""Reward models of other installed packages, by the entry points of the group ``tastemaker.scorers``.

    [project.entry-points."tastemaker.scorers"]
    my-reward = "my_package.reward:MyReward"

An entry point is only read until its scorer is asked for by name: nothing of a package is imported before.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from tastemaker.base.errors import UserError
from tastemaker.score.scorer import Scorer

GROUP = "tastemaker.scorers"
NAME = re.compile(r"[\w.-]+")
TARGET = re.compile(r"[\w.]+:[\w.]+")
NEEDED = {"id": str, "calibration": str, "uses_prompt": bool}
"""What the runs ask every scorer, beside `score`."""
NARROWER = {"transform": "score_pixels", "trunk": "head"}
"""What a scorer must be able to do when it has the first: `PixelScorer` and `EmbeddingScorer`."""


def installed(ours: Collection[str] = (), group: str = GROUP, what: str = "scorer") -> dict[str, str]:
    """Name → ``module:Class`` of every installed entry point of ``group``; ``ours`` are names that are taken.

    Raises `UserError` for a name that is taken, that two packages give, or that a spec cannot say, and for a target
    that is no class of a module.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, _package(point))):
        where = f"package {_package(point)}: its {what} {point.name!r}"
        _say_if_unfit(where, point)
        if point.name in ours:
            raise UserError(f"{where} has the name of one of Tastemaker's own; rename or uninstall it")
        if other := found.get(point.name):
            raise UserError(f"{where} is also one of {_package(other)}; rename or uninstall one of them")
        found[point.name] = point
    return {name: f"{point.module}:{point.attr}" for name, point in found.items()}


def load(name: str, target: str, what: str = "scorer") -> Any:
    """The class ``module:Class`` of the entry point ``name``, imported now; raises `UserError` where that fails."""
    module, _, attributes = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except Exception as error:  # whatever other people's module does when it is imported
        text = " ".join(str(error).split())[:200]
        raise UserError(f"{what} {name!r}: {target} cannot be imported ({type(error).__name__}: {text})") from None
    if not callable(found):
        raise UserError(f"{what} {name!r}: {target} is no class; let the entry point name one")
    return found


def check(name: str, scorer: object) -> Scorer:
    """``scorer`` itself, if it has what `score.scorer.Scorer` wants; raises `UserError` that names what it lacks.

    Its id must be ``name@revision``: by the name its scores are found again, by the revision they are kept apart.
    """
    where = f"scorer {name!r}: {type(scorer).__module__}.{type(scorer).__qualname__}"
    for attribute, kind in NEEDED.items():
        value = _attribute(where, scorer, attribute)
        if not isinstance(value, kind):
            raise UserError(f"{where}.{attribute} is {value!r}; it must be a {kind.__name__}")
    for method in ("score", *(then for first, then in NARROWER.items() if hasattr(scorer, first))):
        if not callable(_attribute(where, scorer, method)):
            raise UserError(f"{where}.{method} is no method")
    own = cast(Scorer, scorer).id
    if not (own.startswith(f"{name}@") and own != f"{name}@"):
        raise UserError(f"{where}.id is {own!r}; it must be {name}@ and a revision, such as {name}@1")
    return cast(Scorer, scorer)


def _attribute(where: str, scorer: object, attribute: str) -> object:
    try:
        return getattr(scorer, attribute)
    except AttributeError:
        raise UserError(f"{where} has no {attribute}; a scorer has id, calibration, uses_prompt and score") from None


def _say_if_unfit(where: str, point: EntryPoint) -> None:
    if not NAME.fullmatch(point.name):
        raise UserError(f"{where}: a name has letters, digits and . _ - alone; rename or uninstall it")
    if not TARGET.fullmatch(re.sub(r"\s*\[.*\]$", "", point.value)):
        raise UserError(f"{where}: {point.value!r} is no module:Class; correct or uninstall it")


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "?"
