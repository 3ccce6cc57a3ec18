"""A scoring run that kills itself; `python killed_score.py DATA LOG MOMENT` as a process of its own.

MOMENT n is just before the n-th rename, −n just after it, and 0 never. LOG gets one line a scored row.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tastemaker.score.runner import score

SHARD_ROWS = 3


class Logging:
    """Red value / 100; refuses red 5."""

    id = "red@1"
    calibration = "identity"
    uses_prompt = True

    def __init__(self, log: Path) -> None:
        self.log = log

    def score(self, prompts: Sequence[str], images: Sequence[Image.Image]) -> np.ndarray:
        reds = [image.getpixel((0, 0))[0] for image in images]
        if 5 in reds:
            raise RuntimeError("a red rag")
        with open(self.log, "a") as file:
            file.writelines(f"{prompt} {red}\n" for prompt, red in zip(prompts, reds, strict=True))
        return np.array(reds, np.float32) / 100


def kill_at(moment: int) -> None:
    """Make the rename number ``moment`` the last thing, or nearly the last, that this process does."""
    rename, calls = os.replace, []

    def replace(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*arguments)
        if len(calls) == -moment:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace


if __name__ == "__main__":
    data, log, moment = sys.argv[1:]
    kill_at(int(moment))
    score(Path(data), Logging(Path(log)), shard_rows=SHARD_ROWS, batch_size=2)
