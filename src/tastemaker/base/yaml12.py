"""The YAML that recipes are written in: plain data by the 1.2 core rules.

PyYAML follows YAML 1.1, where `1e-4` is a string, `on` a truth value, `010` eight and `12:30` a number.
Here numbers look as they do in Python, only `true` and `false` are truth values, keys are text and unique,
and aliases cannot blow up or bite their own tail.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

LARGEST = 1_000_000  # characters of a file
MOST_NODES = 10_000  # with every alias written out
DEEPEST = 40

_IMPLICIT = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
)


_KNOWN = (None, *(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "str", "seq", "map")))


class Loader(yaml.SafeLoader):
    """Safe loader with the 1.2 core rules and text keys that do not repeat."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own tables; filled below)
    yaml_constructors: ClassVar[dict[Any, Any]] = {key: yaml.SafeLoader.yaml_constructors[key] for key in _KNOWN}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping; a repeated or non-text key is an error at its line."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is not text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' repeats", key_node.start_mark)
            seen.add(key)
        return {self.construct_object(key, True): self.construct_object(value, deep) for key, value in node.value}


class Dumper(yaml.SafeDumper):
    """Safe dumper that quotes whatever `Loader` would take for a number, and writes no aliases."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML's signature)
        """Repeat shared values in full."""
        return True


def _text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    """Line breaks that only YAML 1.1 knows are escaped; PyYAML would fold them away."""
    style = '"' if any(sign in text for sign in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _integer(loader: Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _float(loader: Loader, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan"))


for _tag, _pattern, _first in _IMPLICIT:
    for _class in (Loader, Dumper):
        _class.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), _first)
Dumper.add_representer(str, _text)
Loader.add_constructor("tag:yaml.org,2002:int", _integer)
Loader.add_constructor("tag:yaml.org,2002:float", _float)


def load(text: str) -> Any:
    """The value of a one-document YAML text.

    Raises:
        yaml.YAMLError: for anything that is not plain, finite YAML; a `yaml.MarkedYAMLError` knows its line.
    """
    if len(text) > LARGEST:
        raise yaml.YAMLError(f"longer than {LARGEST} characters")
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _expanded(node, {}, 1)
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError(f"nested deeper than {DEEPEST} levels") from None
    except ValueError as error:  # an explicit tag on a text that does not fit it
        raise yaml.YAMLError(str(error)) from None
    finally:
        loader.dispose()


def load_scalar(text: str) -> Any:
    """One plain scalar by the same rules; never fails, other texts stay texts."""
    loader = Loader("")
    try:
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return loader.construct_object(yaml.ScalarNode(tag, text))
    except ValueError:  # an integer of more digits than Python reads
        return text
    finally:
        loader.dispose()


def dump(value: Any) -> str:
    """``value`` (plain data) as block YAML that `load` reads back to an equal value."""
    return str(yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120))


def _expanded(node: yaml.Node, sizes: dict[int, int], depth: int) -> int:
    """Number of nodes below ``node`` with aliases written out; raises for too many, too deep or circular ones."""
    if depth > DEEPEST:
        raise yaml.constructor.ConstructorError(None, None, f"nested deeper than {DEEPEST} levels", node.start_mark)
    if id(node) not in sizes:
        sizes[id(node)] = MOST_NODES  # what a circular alias meets
        children = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        size = 1 + sum(_expanded(child, sizes, depth + 1) for child in children)
        if size > MOST_NODES:
            raise yaml.constructor.ConstructorError(None, None, "aliases that expand without end", node.start_mark)
        sizes[id(node)] = size
    return sizes[id(node)]
