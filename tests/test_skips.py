"""Skips are counted: more than expected turn a green run red."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING = "import pytest\ndef test_fine(): pass\ndef test_skips(): pytest.skip('no such thing here')\n"


@pytest.mark.parametrize("jobs", ["0", "2"])
@pytest.mark.parametrize(
    ("test", "limit", "code"),
    [
        (SKIPPING, "0", 1),
        (SKIPPING, "1", 0),
        ("def test_real_images(shared_data): pass\n", "0", 0),
    ],
    ids=["one too many", "as expected", "shared data may be absent"],
)
def test_more_skips_than_expected_fail(root: Path, tmp_path: Path, test: str, limit: str, code: int, jobs: str) -> None:
    tests = tmp_path / "clone" / "tests"
    tests.mkdir(parents=True)
    shutil.copy(root / "tests" / "conftest.py", tests)
    (tests / "test_it.py").write_text(test)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-n",
        jobs,
        "-p",
        "no:cacheprovider",
        "--max-skips",
        limit,
        "tests",
    ]
    done = subprocess.run(command, cwd=tests.parent, capture_output=True, text=True)
    assert done.returncode == code, done.stdout
    assert "SKIPPED [1]" in done.stdout
    assert ("unexpected skips" in done.stdout) == bool(code)
