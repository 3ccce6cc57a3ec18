"""Shared fixtures, the thread limit, and the limit on skipped tests."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch or numpy
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--max-skips N`: a run that skips more than N tests fails."""
    parser.addoption("--max-skips", type=int, default=None, metavar="N", help="fail when more than N tests are skipped")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a green run red when it skipped more than was expected."""
    limit = session.config.getoption("--max-skips")
    if limit is None or hasattr(session.config, "workerinput"):
        return
    skipped = len(_skipped(session.config))
    if skipped > limit and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say why, in the same place as pytest's own counts."""
    limit, skipped = config.getoption("--max-skips"), len(_skipped(config))
    if limit is not None and skipped > limit:
        terminalreporter.write_line(
            f"FAILED: {skipped} tests skipped, expected at most {limit} (--max-skips)", red=True
        )


def _skipped(config: pytest.Config) -> list[object]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return list(reporter.stats.get("skipped", [])) if reporter else []


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The workplace's folder of real test data (`../shared/data`), or a skip where there is none."""
    for folder in (ROOT.parent / "shared" / "data", ROOT / "shared" / "data"):
        if folder.is_dir():
            return folder
    pytest.skip("no ../shared/data beside the repository (real images and golden values)")


@pytest.fixture(autouse=True)
def _offline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches for the model hub unless it is marked `network`."""
    if request.node.get_closest_marker("network") is None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
