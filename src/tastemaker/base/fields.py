"""Walking the fields of nested pydantic models: for error messages and for the list of fields in help."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Place:
    """Where a validation error points."""

    path: list[str]
    """Names and list positions as the user wrote them, without the tags that pydantic adds for unions."""
    siblings: list[str]
    """Fields that are known at the last name's level."""
    tags: list[str]
    """Values that are allowed for the last name: literals, or the tags of a union of models."""
    hint: str
    """Type and description of the last name's field."""
    chosen: str
    """Which member of a union the last name's section is, as "kind: full"; empty outside unions."""


@dataclass(frozen=True)
class Row:
    """One field in a help text."""

    name: str
    text: str


def tags_and_names(cls: type[BaseModel], location: Sequence[str | int]) -> Place:
    """Follow a pydantic error location through ``cls``."""
    annotation: Any = cls
    path: list[str] = []
    siblings: list[str] = []
    field: FieldInfo | None = None
    chosen = tag = ""
    for part in location:
        models = _models(annotation)
        member = _tagged(models, part) if len(models) > 1 else None
        if member is not None:
            annotation, tag = member, _chosen(member)
            continue
        if len(models) == 1:
            siblings = list(models[0].model_fields)
            field = models[0].model_fields.get(str(part))
            annotation = field.annotation if field else None
            path.append(str(part))
        elif isinstance(part, int) or get_origin(_bare(annotation)) is dict:
            annotation = _item(annotation)
            path.append(str(part))
        elif annotation is None:
            path.append(str(part))
        chosen, tag = tag, ""
    hint = "" if field is None else ", ".join(filter(None, [type_name(field.annotation), field.description]))
    return Place(path, siblings, _choices(annotation), hint, chosen)


def describe(cls: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """Every field of ``cls``, then those of the models in it; a union lists the fields of each member under its tag."""
    for name, field in cls.model_fields.items():
        models = _models(field.annotation)
        yield Row(prefix + name, _line(field))
        for model in models:
            tag = _tags(model)
            label = f"{prefix}{name}." if len(models) == 1 else f"{prefix}{name}({'|'.join(tag)})."
            literal = (key for key, inner in model.model_fields.items() if len(models) > 1 and _literal(inner))
            discriminator = next(literal, None)  # the first, as in `_tags`; others are settings
            yield from (row for row in describe(model, label) if row.name.removeprefix(label) != discriminator)


def type_name(annotation: Any) -> str:
    """A short name of a type as a user would say it."""
    annotation = _bare(annotation)
    choices = _choices(annotation)
    if choices:
        return "|".join(choices)
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(item) for item in get_args(annotation))
    if origin is not None:
        inner = [type_name(item) for item in get_args(annotation) if item is not Ellipsis]
        return f"{origin.__name__} of {', '.join(inner)}"
    if annotation is type(None):
        return "none"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return getattr(annotation, "__name__", str(annotation))


def _line(field: FieldInfo) -> str:
    parts = [type_name(field.annotation), _default(field), field.description or ""]
    return "  ".join(part for part in parts if part)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return f"({_tags(type(value))[0]})" if len(_models(field.annotation)) > 1 else ""
    if isinstance(value, Enum):
        value = value.value
    return f"({'none' if value is None else value})"


def _bare(annotation: Any) -> Any:
    """Without `Annotated`, type aliases and a lone `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            members = [item for item in get_args(annotation) if item is not type(None)]
            if len(members) != 1 or len(members) == len(get_args(annotation)):
                return annotation
            return _bare(members[0]) if _models(members[0]) else annotation
        elif hasattr(annotation, "__value__"):  # a `type X = …` alias
            annotation = annotation.__value__
        else:
            return annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models that a value of this type can be."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType):
        return [model for item in get_args(annotation) for model in _models(item)]
    return []


def _item(annotation: Any) -> Any:
    annotation = _bare(annotation)
    if get_origin(annotation) in (Union, types.UnionType):  # of a single value or several: the several
        annotation = next((item for item in map(_bare, get_args(annotation)) if get_args(item)), None)
    arguments = [item for item in get_args(annotation) if item is not Ellipsis]
    return arguments[-1] if arguments else None


def _tagged(models: list[type[BaseModel]], part: str | int) -> type[BaseModel] | None:
    """The member of a union that pydantic's location part means: by its tag, else by its class name."""
    for model in models:
        if part in _tags(model) or part == model.__name__:
            return model
    return None


def _tags(model: type[BaseModel]) -> list[str]:
    """The values of the model's first literal field: its tag in a union."""
    for field in model.model_fields.values():
        if _literal(field):
            return _literal(field)
    return []


def _chosen(model: type[BaseModel]) -> str:
    """The tag of a union's member as the user writes it."""
    return next((f"{name}: {_literal(field)[0]}" for name, field in model.model_fields.items() if _literal(field)), "")


def _literal(field: FieldInfo) -> list[str]:
    annotation = _bare(field.annotation)
    return [str(item) for item in get_args(annotation)] if get_origin(annotation) is Literal else []


def _choices(annotation: Any) -> list[str]:
    annotation = _bare(annotation)
    if get_origin(annotation) is Literal:
        return [str(item) for item in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(item.value) for item in annotation]
    models = _models(annotation)
    return [tag for model in models for tag in _tags(model)] if len(models) > 1 else []
