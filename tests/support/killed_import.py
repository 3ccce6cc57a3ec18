"""An import that kills itself; `python killed_import.py SOURCE OUT MOMENT` as a process of its own.

MOMENT n is just before the n-th step that makes something durable (a rename, a commit), −n just after it, 0 never.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tastemaker.data import intake, store
from tastemaker.data.importing import import_data
from tastemaker.data.journal import Journal


def kill_at(moment: int) -> None:
    """Make the durable step number ``moment`` the last thing, or nearly the last, that this process does."""
    steps = []

    def deadly(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> None:
            steps.append(step)
            if len(steps) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            step(*arguments)
            if len(steps) == -moment:
                os.kill(os.getpid(), signal.SIGKILL)

        return run

    os.replace = deadly(os.replace)
    Journal.commit = deadly(Journal.commit)  # type: ignore[method-assign]
    Journal.remove = deadly(Journal.remove)  # type: ignore[method-assign]


if __name__ == "__main__":
    source, out, moment = sys.argv[1:]
    kill_at(int(moment))
    store.GROUP_IMAGES, store.SHARD_IMAGES, intake.WINDOW_ROWS = 4, 10, 3
    import_data(source, Path(out))
