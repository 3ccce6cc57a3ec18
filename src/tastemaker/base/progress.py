"""Progress bars: on a terminal a bar, elsewhere silence."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(items: Iterable[T], what: str, total: int | None = None, unit: str = "it") -> tqdm[T]:
    """Wrap ``items`` in a progress bar named ``what``; quiet when stderr is not a terminal."""
    return tqdm(items, desc=what, total=total, unit=unit, dynamic_ncols=True, disable=not sys.stderr.isatty())
