"""The entry point: lists, dispatch, errors and what help costs."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tastemaker import __version__
from tastemaker.base.errors import Interrupted, UserError
from tastemaker.cli import app

Runner = Callable[..., Any]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Runner], None]:
    """Put a function in the place of the verb `score`."""

    def put(run: Runner, **more: Any) -> None:
        module = types.ModuleType("fake_verb")
        module.run = run  # type: ignore[attr-defined]
        vars(module).update(more)
        monkeypatch.setitem(sys.modules, "fake_verb", module)
        monkeypatch.setitem(app.VERBS, "score", app.Verb("fake_verb", "a fake"))

    return put


def failing(error: BaseException) -> Runner:
    def run() -> None:
        """Fail."""
        raise error

    return run


def test_overview_lists_every_verb_in_the_order_of_the_data_flow(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--help"]) == 0
    text = capsys.readouterr().out
    places = [re.search(rf"^  {name} +{re.escape(verb.help)}$", text, re.MULTILINE) for name, verb in app.VERBS.items()]
    assert all(places)
    assert list(app.VERBS)[:5] == ["import", "score", "rank", "subset", "encode"]
    assert len(app.VERBS) == 19


def test_no_arguments_is_help_and_version_is_the_package_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main([]) == 0
    assert "usage: tastemaker VERB" in capsys.readouterr().out
    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tastemaker {__version__}\n"


def test_unknown_verb_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["trian"]) == 2
    assert capsys.readouterr().err == "tastemaker: unknown verb 'trian', did you mean 'train'?\n"
    assert app.main(["xyzzy"]) == 2
    assert "known: import, score, rank" in capsys.readouterr().err


def test_user_error_is_one_line_and_code_2(verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    verb(failing(UserError("x.yaml: wrong\nin two lines")))
    assert app.main(["score"]) == 2
    assert capsys.readouterr().err == "tastemaker: x.yaml: wrong in two lines\n"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_is_128_and_the_signal(
    verb: Any, capsys: pytest.CaptureFixture[str], signum: int, code: int
) -> None:
    verb(failing(Interrupted(signum)))
    assert app.main(["score"]) == code
    assert "state saved" in capsys.readouterr().err


def test_ctrl_c_is_130(verb: Any) -> None:
    verb(failing(KeyboardInterrupt()))
    assert app.main(["score"]) == 130


def test_a_bug_is_one_line_and_its_traceback_in_a_file(verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    verb(failing(ZeroDivisionError("odd \udcff thing")))
    assert app.main(["score"]) == 70
    error = capsys.readouterr().err
    assert error.startswith("tastemaker: ZeroDivisionError: odd")
    assert "this is a bug" in error
    assert error.count("\n") == 1
    match = re.search(r"traceback is in (.*)\)", error)
    assert match
    log = Path(match[1])
    assert "Traceback (most recent call last)" in log.read_text()
    assert "in failing" in log.read_text() or "in run" in log.read_text()
    log.unlink()


def test_a_bug_shows_its_traceback_when_asked(
    verb: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TASTEMAKER_TRACEBACK", "1")
    verb(failing(ZeroDivisionError("odd")))
    assert app.main(["score"]) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory"),
        (OutOfMemoryError("CUDA"), "out of memory (CUDA)"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), "/x/y: no space left"),
    ],
)
def test_a_machine_that_is_too_small_is_no_bug(
    verb: Any, capsys: pytest.CaptureFixture[str], error: Exception, words: str
) -> None:
    verb(failing(error))
    assert app.main(["score"]) == 2
    text = capsys.readouterr().err
    assert words in text
    assert "bug" not in text


def test_arguments_reach_the_verb_and_its_code_is_the_exit_code(verb: Any) -> None:
    seen: list[Any] = []

    def run(data: Path, /, *, scorer: tuple[str, ...] = ("world",), fraction: float | None = None) -> int:
        """Do it.

        Args:
            data: a folder.
            scorer: its names.
            fraction: a part.
        """
        seen.append((data, scorer, fraction))
        return 3

    verb(run)
    assert app.main(["score", "d", "--scorer", "a", "b", "--fraction", "0.3"]) == 3
    assert seen == [(Path("d"), ("a", "b"), 0.3)]


def test_overrides_are_the_arguments_that_are_not_understood(verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []

    def run(recipe: Path, /, *, out: Path | None = None, overrides: tuple[str, ...] = ()) -> None:
        """Do it.

        Args:
            recipe: a file.
            out: a folder.
        """
        seen.append((recipe, out, overrides))

    verb(run, details=lambda: "--train.lr  float")
    assert app.main(["score", "r.yaml", "--train.lr", "1e-4", "--out", "x", "--data.order=random"]) == 0
    assert seen == [(Path("r.yaml"), Path("x"), ("--train.lr", "1e-4", "--data.order=random"))]
    assert app.main(["score", "--help"]) == 0
    text = capsys.readouterr().out
    assert "overrides" not in text.lower()
    assert text.endswith("--train.lr  float\n")


@pytest.mark.parametrize(
    "arguments",
    [["--bogus", "1"], ["--fraction", "abc"], ["--fraction"], ["extra"]],
    ids=["unknown", "wrong type", "no value", "too many"],
)
def test_wrong_arguments_are_a_short_message_and_code_2(
    verb: Any, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    def run(fraction: float = 1.0) -> None:
        """Do it.

        Args:
            fraction: a part.
        """
        raise AssertionError("must not run")

    verb(run)
    assert app.main(["score", *arguments]) == 2
    error = capsys.readouterr().err
    assert 1 <= len(error.splitlines()) <= 12
    assert "Traceback" not in error


def test_a_required_argument_that_is_missing_is_code_2(verb: Any) -> None:
    def run(data: Path, /) -> None:
        """Do it."""

    verb(run)
    assert app.main(["score"]) == 2


def test_parse_does_not_run(verb: Any) -> None:
    ran = []
    verb(lambda: ran.append(1))
    call = app.parse(["score"])
    assert ran == []
    call()
    assert ran == [1]


def test_subverbs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def sample(count: int = 3) -> None:
        """Draw pairs.

        Args:
            count: how many.
        """
        print(f"drew {count}")

    module = types.ModuleType("fake_world", "The world.")
    module.SUBVERBS = {"sample": sample}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_world", module)
    monkeypatch.setitem(app.VERBS, "world", app.Verb("fake_world", "a fake"))
    assert app.main(["world", "sample", "--count", "5"]) == 0
    assert capsys.readouterr().out == "drew 5\n"
    assert app.main(["world"]) == 0
    assert re.search(r"  sample +Draw pairs\.", capsys.readouterr().out)
    assert app.main(["world", "smaple"]) == 2
    assert "did you mean 'sample'?" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error() -> None:
    """`tastemaker --help | true`: nothing on stderr, code 0."""
    script = "import sys, time; time.sleep(0.5); from tastemaker.cli.app import main; sys.exit(main(['--help']))"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_the_users_own_verbosity_is_not_overruled(verb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFUSERS_VERBOSITY", "debug")
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    verb(lambda: None)
    assert app.main(["score"]) == 0
    assert os.environ["DIFFUSERS_VERBOSITY"] == "debug"
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "error"


def test_the_installed_command_is_this_entry_point() -> None:
    done = subprocess.run([Path(sys.executable).with_name("tastemaker"), "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"tastemaker {__version__}\n")
