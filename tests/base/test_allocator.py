"""Memory that was freed is used again, without asking the system for its pages once more."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from tastemaker.base.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    if not keep_freed_memory():
        sys.exit(77)
np.ones(3_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    held = [np.ones(3_000_000) for _ in range(4)]
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Page faults of twenty rounds that want 96 MB each, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("not glibc")
    return int(done.stdout)


def test_freed_memory_is_kept() -> None:
    """Pages are fetched once, or in each of the twenty rounds, whatever a page's size."""
    assert 5 * faults("keep") < faults("leave")
