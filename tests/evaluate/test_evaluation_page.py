"""docs/evaluation.md says what the code does."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path

import pytest

from tastemaker.cli import app
from tastemaker.evaluate.evaluation import evaluate


@pytest.fixture
def document(root: Path) -> str:
    return (root / "docs/evaluation.md").read_text(encoding="utf-8")


def test_commands_are_understood(document: str) -> None:
    commands = re.findall(r"^    tastemaker (.+)$", document, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        app.parse(shlex.split(command))


def test_python_runs(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for program in re.findall(r"```python\n(.*?)```", document, re.DOTALL):
        exec(program, {})
    assert "AUROC" in (tmp_path / "mine.html").read_text(encoding="utf-8")
    assert (tmp_path / "mine-data/found.csv").exists()


def test_defaults_are_the_stated_ones(document: str) -> None:
    defaults = {name: parameter.default for name, parameter in inspect.signature(evaluate).parameters.items()}
    assert f"{defaults['resamples']:,} resamples" in document
    assert defaults["epsilon"] is None
    for option in re.findall(r"`(--[a-z-]+)[ `]", document):
        assert any(option[2:].replace("-", "_") in inspect.signature(run).parameters for run in runs()), option


def runs() -> list[object]:
    from tastemaker.cli import evaluate, generate, report, view

    return [evaluate.run, generate.run, report.run, view.run]
