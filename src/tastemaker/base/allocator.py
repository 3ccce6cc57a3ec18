"""Keeping freed memory: glibc hands large freed blocks back to the system and fetches them again, page by page.

The activations of a model are such blocks, freed and asked for anew in every layer. On a CPU that costs some per cent
of its time, more or less as the heap happens to lie.
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""The names of glibc's `malloc.h`."""
LARGEST = 2**31 - 1
PAD = 256 << 20
MMAP_LARGEST = 32 << 20
"""What glibc takes at most."""


def keep_freed_memory() -> bool:
    """Let this process hold what it has freed, up to its peak; False where the C library is another."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {MMAP_THRESHOLD: MMAP_LARGEST, TRIM_THRESHOLD: LARGEST, TOP_PAD: PAD}
    return all(mallopt(name, value) == 1 for name, value in settings.items())
