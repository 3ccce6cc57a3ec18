"""SIGINT and SIGTERM as a request that the loop answers between two micro-steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

WATCHED = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """The signal that asked for a stop, or None so far."""

    signum: int | None = None

    def hear(self, counts: Sequence[float]) -> bool:
        """Whether any rank was asked, given how many were by each of `WATCHED`; then this one is as well."""
        asked = [signum for signum, count in zip(WATCHED, counts, strict=True) if count]
        if asked and self.signum is None:
            self.signum = asked[0]
        return bool(asked)


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Collect the first SIGINT or SIGTERM; a second one acts as it would outside.

    Only a process's main thread may watch signals; in another one the request stays empty.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {signum: signal.getsignal(signum) for signum in WATCHED}

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    def receive(signum: int, _: FrameType | None) -> None:
        stop.signum = signum
        restore()

    for signum in WATCHED:
        signal.signal(signum, receive)
    try:
        yield stop
    finally:
        restore()
