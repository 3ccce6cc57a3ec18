"""Errors carry their line; progress bars are silent away from a terminal."""

from __future__ import annotations

import io
import signal
import sys

import pytest

from tastemaker.base.errors import Interrupted, UserError
from tastemaker.base.progress import bar


def test_a_user_error_is_a_value_error() -> None:
    """So that pydantic's validators may raise it."""
    assert isinstance(UserError("x"), ValueError)


def test_interrupted_knows_its_signal_and_says_how_to_go_on() -> None:
    error = Interrupted(signal.SIGTERM)
    assert error.signum == 15
    assert "run the same command to go on" in str(error)


def test_a_bar_passes_its_items_on_and_writes_nothing_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(bar([1, 2, 3], "counting")) == [1, 2, 3]
    assert capsys.readouterr().err == ""


def test_a_bar_shows_itself_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(bar(iter([1, 2]), "counting", total=2, unit="pair")) == [1, 2]
    assert "counting" in terminal.getvalue()
