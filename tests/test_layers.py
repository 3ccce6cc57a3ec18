"""The layers of `docs/architecture.md`, and no heavy library on the way to help."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "diffusers", "peft", "accelerate", "pyarrow", "matplotlib", "scipy", "safetensors"}
PACKAGE = "tastemaker"


def documented_layers(text: str) -> list[str]:
    """Folder names in the first column of the table under "## Layers"."""
    section = text.partition("## Layers")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)/` \|", section, re.MULTILINE)


def documented_rooms(text: str) -> dict[str, set[str]]:
    """Modules and folders named in the second column of the table, by layer."""
    section = text.partition("## Layers")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)/` \| ([^|]*) \|", section, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)/?`", rooms)) for name, rooms in rows}


def modules(source: Path) -> dict[str, Path]:
    """Dotted name → file of every module below ``source``."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST, at_import_time: bool = False) -> Iterator[tuple[str, int]]:
    """Dotted names that are imported, with their lines; "from a import b" gives a and a.b.

    ``at_import_time`` leaves out what stands in functions and under `if TYPE_CHECKING`.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write it in full"
            yield str(node.module), node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif at_import_time and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (row for child in node.orelse for row in imports(ast.Module([child], []), True))
        else:
            yield from imports(node, at_import_time)


def layer(module: str) -> str:
    return module.split(".")[1]


def violations(source: Path, order: list[str]) -> list[str]:
    """Imports of a lower layer, as file:line lines."""
    found = []
    for name, path in modules(source).items():
        if name == PACKAGE:
            continue
        for target, line in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if not target.startswith(f"{PACKAGE}.") or layer(target) not in order:
                continue
            if order.index(layer(target)) > order.index(layer(name)):
                found.append(f"{path.relative_to(source)}:{line}: {layer(name)}/ imports {target}")
    return sorted(set(found))


def loaded(source: Path, start: str) -> dict[str, str]:
    """What importing ``start`` loads, as module → who loads it; third-party names at their first part."""
    known = modules(source)
    waiting, found = [(start, "")], {}
    while waiting:
        name, by = waiting.pop()
        if name in found:
            continue
        found[name] = by
        if name in known:
            targets = [target for target, _ in imports(ast.parse(known[name].read_text(encoding="utf-8")), True)]
            targets += [name.rpartition(".")[0]] if "." in name else []
            ours = [target for target in targets if target in known]
            others = [target.partition(".")[0] for target in targets if not target.startswith(PACKAGE)]
            waiting += [(target, name) for target in [*ours, *others]]
    return found


@pytest.fixture(scope="module")
def source(root: Path) -> Path:
    return root / "src" / PACKAGE


@pytest.fixture(scope="module")
def order(root: Path) -> list[str]:
    return documented_layers((root / "docs" / "architecture.md").read_text(encoding="utf-8"))


def test_every_folder_is_a_documented_layer_and_the_other_way_round(source: Path, order: list[str]) -> None:
    folders = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(order)
    assert len(order) == len(set(order))
    assert (order[0], order[-1]) == ("base", "cli")


def test_the_table_names_every_room(root: Path, source: Path) -> None:
    rooms = documented_rooms((root / "docs" / "architecture.md").read_text(encoding="utf-8"))
    hidden = {"__init__", "__pycache__", "assets"}
    for name, said in rooms.items():
        if name != "cli":  # one module a verb, and the verbs are checked against the documents elsewhere
            there = {path.stem for path in (source / name).iterdir() if path.suffix == ".py" or path.is_dir()}
            assert there - hidden == said - hidden, name


def test_a_layer_imports_only_itself_and_layers_above(source: Path, order: list[str]) -> None:
    assert violations(source, order) == []


def test_the_packages_root_imports_nothing(source: Path) -> None:
    assert list(imports(ast.parse((source / "__init__.py").read_text()))) == []


def test_nothing_heavy_is_reachable_from_the_command_line_at_import_time(source: Path) -> None:
    starts = [name for name in modules(source) if name.startswith(f"{PACKAGE}.cli")]
    starts += [f"{PACKAGE}.train.recipe", f"{PACKAGE}.method.method", f"{PACKAGE}.score.table"]
    assert len(starts) > 5
    for start in starts:
        found = loaded(source, start)
        assert {name: by for name, by in found.items() if name in HEAVY} == {}, start


def test_no_module_prints_but_the_command_line_and_the_summary(source: Path) -> None:
    printing = []
    for name, path in modules(source).items():
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        if any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls):
            printing.append(name)
    assert [name for name in printing if layer(name) != "cli"] == [f"{PACKAGE}.base.summary"]


def test_no_file_is_longer_than_300_lines(source: Path) -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules(source).items()}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A package with one fault of each kind."""
    source = tmp_path / PACKAGE
    texts = {
        "base/__init__.py": "",
        "base/low.py": "import torch\ndef f():\n    from tastemaker.cli import high\n",
        "cli/__init__.py": "",
        "cli/high.py": "import typing\nfrom tastemaker.base import low\nif typing.TYPE_CHECKING:\n    import peft\n",
        "cli/clean.py": "def f():\n    import torch\n",
        "__init__.py": "",
    }
    for name, text in texts.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    return source


def test_the_checks_see_planted_faults(planted: Path) -> None:
    faults = violations(planted, ["base", "cli"])
    assert set(faults) == {
        "base/low.py:3: base/ imports tastemaker.cli",
        "base/low.py:3: base/ imports tastemaker.cli.high",
    }
    assert violations(planted, ["cli", "base"]) != faults
    found = loaded(planted, f"{PACKAGE}.cli.high")
    assert found["torch"] == f"{PACKAGE}.base.low"
    assert "peft" not in found
    assert "torch" not in loaded(planted, f"{PACKAGE}.cli.clean")
