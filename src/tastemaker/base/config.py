"""Recipes: YAML and command-line overrides → a validated pydantic value, or one line that says what is wrong.

A recipe is read by `read_yaml`, changed by `apply_overrides` (``["--train.lr", "1e-4"]``) and checked by `validate`.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tastemaker.base import yaml12
from tastemaker.base.errors import UserError
from tastemaker.base.fields import describe, tags_and_names
from tastemaker.base.files import write_text

Model = TypeVar("Model", bound=BaseModel)
Tree = dict[str, Any]


def read_yaml(path: Path) -> Tree:
    """The mapping in a YAML file (`base.yaml12` has the rules); raises `UserError` naming file and line."""
    try:
        tree = yaml12.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{_meant_file(path)}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not text in UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a YAML file") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}{_problem(error)}") from None
    if not isinstance(tree, dict):
        found = "is empty" if tree is None else f"holds a {type(tree).__name__}"
        raise UserError(f"{path}: {found}; a mapping (field: value, one a line) is expected")
    return tree


def apply_overrides(tree: Tree, overrides: Sequence[str]) -> Tree:
    """A copy of ``tree`` with ``["--train.lr", "1e-4", "--train.batch=8"]`` set, values read by the YAML rules.

    Dashes inside a name count as underscores; a number names an item of a list. A section that does not exist is
    made, so that `validate` finds the unknown field and can say what was meant.
    """
    tree = copy.deepcopy(tree)
    words = list(overrides)
    while words:
        name, value = _next_override(words)
        _put(tree, name, _value(name, value))
    return tree


def validate(cls: type[Model], tree: Tree, source: Path | str) -> Model:
    """``tree`` as a ``cls``; raises `UserError`: one line with ``source``, the field's path, the value, the way out."""
    try:
        return cls.model_validate(tree)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{source}: {_sentence(cls, problems[0])}{more}") from None


def write_yaml(path: Path, model: BaseModel) -> None:
    """Write ``model`` durably; `read_yaml` and `validate` give an equal model back."""
    write_text(path, yaml12.dump(model.model_dump(mode="json")))


def field_help(cls: type[BaseModel]) -> str:
    """One line a field of ``cls`` and of the models in it: dotted name, type, default and description."""
    rows = list(describe(cls))
    width = max(len(row.name) for row in rows)
    return "\n".join(f"--{row.name:<{width}}  {row.text}".rstrip() for row in rows)


def closest(word: str, known: Sequence[str]) -> str:
    """The end of a message: "did you mean 'x'?" for a near miss, else the list of what is known."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f", did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


def _meant_file(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" (nor is there a folder {folder})"
    names = sorted(file.name for file in folder.iterdir() if file.suffix in (".yaml", ".yml"))
    return closest(path.name, names) if names else f"; there is no .yaml file in {folder.resolve()}"


def _problem(error: yaml.YAMLError) -> str:
    """The line and what is wrong there, in one line."""
    mark = getattr(error, "problem_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    what = getattr(error, "problem", None) or str(error)
    return f"{line}: {' '.join(what.split())}"


def _next_override(words: list[str]) -> tuple[str, str]:
    """Take one name and its value off the front of ``words``."""
    word = words.pop(0)
    name, equals, value = word.removeprefix("--").partition("=")
    if not word.startswith("--") or not all(name.split(".")):
        raise UserError(f"{word}: not understood; override a field as --section.field value")
    if not equals:
        if not words or words[0].startswith("--"):
            raise UserError(f"{word}: needs a value, as in {word} 1")
        value = words.pop(0)
    return name.replace("-", "_"), value


def _value(name: str, text: str) -> Any:
    """A scalar, or a list or mapping in brackets."""
    if text[:1] not in ("[", "{", '"', "'"):
        return yaml12.load_scalar(text)
    try:
        return yaml12.load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--{name}: {text!r} is not YAML{_problem(error)}") from None


def _put(tree: Tree, name: str, value: Any) -> None:
    *sections, last = name.split(".")
    place: Any = tree
    for section in sections:
        place = _enter(place, section, name)
    if isinstance(place, list):
        place[_index(place, last, name)] = value
    else:
        place[last] = value


def _enter(place: Any, section: str, name: str) -> Any:
    """The mapping or list under ``section``, made when it is missing."""
    if isinstance(place, list):
        inner = place[_index(place, section, name)]
    else:
        inner = place.get(section)
        if inner is None:
            inner = place[section] = {}
    if not isinstance(inner, dict | list):
        raise UserError(f"--{name}: '{section}' is the value {inner!r}, not a section; set --{section} itself")
    return inner


def _index(items: list[Any], text: str, name: str) -> int:
    if not text.isdecimal() or int(text) >= len(items):
        raise UserError(f"--{name}: '{text}' is no item of a list of {len(items)} (0 is the first)")
    return int(text)


def _sentence(cls: type[BaseModel], problem: Any) -> str:
    """What is wrong where, and the way out, for one pydantic error."""
    kind, context, value = problem["type"], problem.get("ctx", {}), problem["input"]
    place = tags_and_names(cls, problem["loc"])
    path = ".".join(place.path)
    if kind == "extra_forbidden":
        ending = closest(place.path[-1], place.siblings)
        where = f" where {place.chosen}" if place.chosen and "did you mean" not in ending else ""
        return f"{path}: unknown field{where}{ending}"
    if kind == "missing":
        return f"{path}: missing; give it a value ({place.hint})"
    if kind.startswith("union_tag"):
        field = str(context["discriminator"]).strip("'")
        where = f"{path}.{field}" if path else field
        if kind == "union_tag_not_found":
            return f"{where}: missing; one of {', '.join(place.tags)}"
        return f"{where}: '{context['tag']}' is unknown{closest(str(context['tag']), place.tags)}"
    if kind == "literal_error":
        return f"{path}: {value!r} is unknown{closest(str(value), place.tags)}"
    if kind == "model_type":
        return f"{path}: {_short(value)} should be a section (its fields, one a line)"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if kind == "value_error":
        return f"{path}: {message}" if path else message
    return f"{path}: {_short(value)} {message}" if path else f"{message}, found {_short(value)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
