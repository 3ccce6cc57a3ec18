"""From ``name:option=value,…`` to a scorer; `parse` and `made` serve other kinds of judges, too.

The table is code, not configuration: a name that is not in it cannot be loaded, whatever a recipe or a file says.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, cast

from tastemaker.base.config import closest
from tastemaker.base.errors import UserError
from tastemaker.score.entry_points import check, load
from tastemaker.score.scorer import Scorer

SCORERS: dict[str, str] = {
    "aesthetic": "tastemaker.score.models.aesthetic:Aesthetic",
    "clip": "tastemaker.score.models.clip_score:ClipScore",
    "hf-reward": "tastemaker.score.models.hf_reward:HfReward",
    "hpsv2": "tastemaker.score.models.hpsv2:HPSv2",
    "hpsv2.1": "tastemaker.score.models.hpsv2:HPSv21",
    "hpsv3": "tastemaker.score.models.hpsv3:Hpsv3",
    "imagereward": "tastemaker.score.models.imagereward:ImageReward",
    "jpeg-size": "tastemaker.score.models.jpeg_size:JpegSize",
    "pickscore": "tastemaker.score.models.pickscore:PickScore",
    "vqascore": "tastemaker.score.models.vqascore:VqaScore",
}
"""Name → ``module:Class``; imported when its scorer is built, the constructor's arguments are the options."""


def parse(spec: str, what: str = "scorer") -> tuple[str, dict[str, str]]:
    """``"jpeg-size:quality=90,prefer=small"`` → ``("jpeg-size", {"quality": "90", "prefer": "small"})``.

    Raises `UserError`, which calls it a ``what``, for an option without name or value, or one that comes twice.
    """
    name, colon, rest = spec.strip().partition(":")
    options: dict[str, str] = {}
    for item in rest.split(",") if colon else []:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not (key and equals and value):
            raise UserError(f"{what} {spec!r}: {item!r} is not an option; write name:option=value,option=value")
        if key in options:
            raise UserError(f"{what} {spec!r}: option {key!r} stands there twice")
        options[key] = value
    return name, options


def build(spec: str, table: Mapping[str, str] = SCORERS, others: Mapping[str, str] | None = None) -> Scorer:
    """The scorer that ``spec`` names in ``table``, or in ``others`` (`entry_points.installed`), whose code is not ours.

    Raises `UserError` for a name, option or value that does not fit, and for another's class that is no scorer.
    """
    name, options = parse(spec)
    if others and name in others:
        return check(name, made(name, load(name, others[name]), options))
    if name not in table:
        raise UserError(f"scorer {name!r} is unknown{closest(name, sorted([*table, *(others or ())]))}")
    module, _, cls_name = table[name].partition(":")
    return cast(Scorer, made(name, getattr(importlib.import_module(module), cls_name), options))


def made(name: str, cls: Any, options: Mapping[str, str], what: str = "scorer") -> Any:
    """``cls`` called with ``options``, read by the types of its parameters (a text where there is none).

    Raises `UserError`, which calls it the ``what`` ``name``, for an option that it has not or a value that is none.
    """
    types = _options(cls)
    return cls(**{key: _value(f"{what} {name!r}", types, key, text) for key, text in options.items()})


def _options(cls: Any) -> dict[str, Any]:
    parameters = inspect.signature(cls, eval_str=True).parameters
    return {key: str if own.annotation is own.empty else own.annotation for key, own in parameters.items()}


def _value(where: str, types: Mapping[str, Any], key: str, text: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if key not in types:
        raise UserError(f"{where}: option {key!r} is unknown{closest(key, sorted(types)) or ', it has none'}")
    try:
        return TypeAdapter(types[key]).validate_strings(text)
    except ValidationError as error:
        raise UserError(f"{where}: {key}={text}: {error.errors()[0]['msg']}") from None
