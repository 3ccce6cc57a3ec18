"""The table of planted faults stays true: each edit still fits, and each fault has its row in the decisions."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load_tool():
    """tools/plant_faults.py, which is no package."""
    spec = importlib.util.spec_from_file_location("plant_faults", ROOT / "tools" / "plant_faults.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()
FAULTS = TOOL.read_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_edit_fits_once_and_its_tests_exist(fault):
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    compile(fault.planted(text), fault.file, "exec")
    assert fault.tests
    assert all((ROOT / test.partition("::")[0]).is_file() for test in fault.tests)


def test_every_fault_is_in_the_decisions_with_what_turned_red():
    rows = (ROOT / "docs" / "decisions" / "planted-faults.md").read_text(encoding="utf-8").splitlines()
    listed = [row.split("|")[1].strip() for row in rows if row.startswith("| ") and "::" in row]
    assert listed == [fault.name for fault in FAULTS]


def test_an_edit_that_fits_no_more_or_twice_is_told():
    fault = TOOL.Fault("name", "file", "a", "b", ("test",))
    assert fault.planted("xay") == "xby"
    for text in ("xy", "xaya"):
        with pytest.raises(ValueError, match=f"stands {text.count('a')} times"):
            fault.planted(text)


def test_a_surviving_fault_is_told_and_fails(tmp_path, monkeypatch, capsys):
    """A small tree of its own: one fault that its test sees, one that it does not, one whose place is gone."""
    for name, text in {
        "src/tastemaker/__init__.py": "def double(x):\n    return 2 * x\n\n\ndef unseen():\n    return 1\n",
        "tests/test_double.py": "from tastemaker import double\n\n\ndef test_double():\n    assert double(2) == 4\n",
        "docs/page.md": "",
        "pyproject.toml": "",
        "faults.md": "Words.\n\n| fault | in | turned red |\n| --- | --- | --- |\n"
        "| removed | x | y |\n| other | x | y |\n| it is not seen | x | y |\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    edits = {
        "other": ("2 * x", "4 * x"),
        "it is seen": ("2 * x", "3 * x"),
        "it is not seen": ("return 1", "return 2"),
        "it is gone": ("triple", "single"),
    }
    faults = [
        TOOL.Fault(name, "src/tastemaker/__init__.py", *edit, ("tests/test_double.py",)) for name, edit in edits.items()
    ]
    monkeypatch.setattr(TOOL, "ROOT", tmp_path)
    monkeypatch.setattr(TOOL, "read_faults", lambda: faults)
    monkeypatch.setattr(sys, "argv", ["plant_faults.py", "it is", "--markdown", str(tmp_path / "faults.md")])
    assert TOOL.main() == 1
    out = capsys.readouterr().out
    assert "red      it is seen: tests/test_double.py::test_double" in out
    assert "SURVIVED it is not seen" in out
    assert "GONE     it is gone" in out
    assert (tmp_path / "faults.md").read_text().splitlines() == [
        "Words.",
        "",
        "| fault | in | turned red |",
        "| --- | --- | --- |",
        "| other | x | y |",
        "| it is seen | `__init__.py` | `test_double.py::test_double` |",
    ]
