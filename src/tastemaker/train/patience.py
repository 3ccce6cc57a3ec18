"""Waiting for people: all ranks look together, again and again, until there is an answer or a signal comes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

from tastemaker.base.progress import bar

if TYPE_CHECKING:
    from tastemaker.train.ranks import Ranks
    from tastemaker.train.signals import Stop

LOG = logging.getLogger(__name__)
T = TypeVar("T")
NAP = 0.1
"""Seconds in which a signal is heard."""


def wait(look: Callable[[], T | str], poll: float | None, ranks: Ranks, stop: Stop) -> T | str | None:
    """What ``look`` finds on the main rank; as long as it is a line, it is shown, and ``poll`` seconds later is looked.

    Without ``poll`` the line is returned. None when a signal came to any rank. No exchange between ranks lasts longer
    than a poll, so that none runs into its time limit, however long people take.
    """
    with ExitStack() as shown:
        line: tqdm[None] | None = None
        while isinstance(found := _everywhere(look, ranks), str) and poll is not None:
            line = line or shown.enter_context(_opened(found, ranks))
            line.set_description_str(found)
            _pause(poll, stop)
            if any(ranks.gather(stop.signum is not None)):
                return None
        return found


def _everywhere(look: Callable[[], T | str], ranks: Ranks) -> T | str:
    found: T | str = ranks.gather(look() if ranks.main else "")[0]
    return found


def _opened(found: str, ranks: Ranks) -> tqdm[None]:
    """The one line that shows how far people are; where there is no terminal the first is said."""
    if not ranks.main:
        return tqdm((), disable=True)
    line: tqdm[None] = bar((), found)
    line.bar_format = "{desc}"
    if line.disable:
        LOG.warning("%s", found)
    return line


def _pause(seconds: float, stop: Stop) -> None:
    """Sleep, but not past a signal."""
    end = time.monotonic() + seconds
    while stop.signum is None and (left := end - time.monotonic()) > 0:
        time.sleep(min(NAP, left))
