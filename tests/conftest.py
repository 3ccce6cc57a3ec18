"""Shared fixtures, the thread limit, and the limit on skipped tests."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch or numpy
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import pytest

SHARED_ABSENT = "no ../shared/data beside the repository (real images and golden values)"
ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--max-skips N`: a run that skips more fails; where `shared_data` is absent, its users may skip."""
    parser.addoption("--max-skips", type=int, default=None, metavar="N", help="fail when more than N tests are skipped")


def pytest_configure(config: pytest.Config) -> None:
    """Only `pytest -m network` reaches for the model hub; huggingface_hub reads this once, when it is imported.

    Only `pytest -m gpu` sees a GPU: what the others compare with was computed on a CPU.
    """
    if config.getoption("-m") != "network":
        os.environ["HF_HUB_OFFLINE"] = "1"
    wanted = config.getoption("-m")
    if "gpu" not in wanted or "not gpu" in wanted:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, `slow(minutes=4)`: at the end no worker is to be alone with one of them."""
    items.sort(key=_minutes, reverse=True)


def _minutes(item: pytest.Item) -> float:
    mark = item.get_closest_marker("slow")
    return float(mark.kwargs.get("minutes", 0)) if mark else 0.0


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Away from `pytest -m network` its tests cannot pass."""
    if item.get_closest_marker("network") and os.environ.get("HF_HUB_OFFLINE") == "1":
        pytest.skip("no network in this run; pytest -m network has it")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a green run red when it skipped more than was expected."""
    limit = session.config.getoption("--max-skips")
    if limit is None or hasattr(session.config, "workerinput"):
        return
    skipped = len(_unexpected(session.config))
    if skipped > limit and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say why, in the same place as pytest's own counts."""
    limit, skipped = config.getoption("--max-skips"), len(_unexpected(config))
    if limit is not None and skipped > limit:
        terminalreporter.write_line(
            f"FAILED: {skipped} unexpected skips, at most {limit} allowed (--max-skips)", red=True
        )


def _unexpected(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    return [report for report in skipped if SHARED_ABSENT not in str(report.longrepr)]


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
    pytest.skip(SHARED_ABSENT)
