"""What a run tells about itself: metrics.jsonl (no clock), timing.jsonl, TensorBoard."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tastemaker.base.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch.utils.tensorboard import SummaryWriter

    from tastemaker.train.ranks import Ranks

METRICS, TIMING, TENSORBOARD = "metrics.jsonl", "timing.jsonl", "tensorboard"
PAIRS = "pairs"
FIRST = ("loss", "margin", "accuracy", "gradient_norm")


class Window:
    """Sums over this rank's pairs since the last logged line, on the device: nothing is read until `read`."""

    def __init__(self, sums: Mapping[str, Tensor] | None = None) -> None:
        self.sums: dict[str, Tensor] = dict(sums or {})

    def add(self, name: str, value: Tensor) -> None:
        """Add a scalar tensor to the sum ``name``."""
        value = value.detach().float()
        self.sums[name] = self.sums[name] + value if name in self.sums else value

    def extend(self, step: Window, pairs: float) -> None:
        """Add the sums of one optimizer step over ``pairs`` pairs."""
        for name, value in step.sums.items():
            self.add(name, value)
        self.add(PAIRS, torch.tensor(pairs, device=next(iter(step.sums.values())).device))

    def joint(self, ranks: Ranks) -> Window:
        """The sums over the pairs of all ranks; with several this waits for them and for the device."""
        if ranks.size == 1:
            return self
        joint = Window()
        for sums in ranks.gather({name: value.item() for name, value in self.sums.items()}):
            for name, value in sums.items():
                joint.add(name, torch.tensor(value))
        return joint

    def read(self) -> dict[str, float]:
        """Mean per pair of every sum, in an order that a resume does not change; this waits for the device."""
        if not self.sums:  # every step since the last line was skipped
            return {}
        names = sorted(self.sums.keys() - {PAIRS}, key=lambda name: (*(name != first for first in FIRST), name))
        means = torch.stack([self.sums[name] for name in names]) / self.sums[PAIRS]
        return dict(zip(names, means.tolist(), strict=True))


class Log:
    """The run's three logs, opened at the byte where the checkpoint left metrics.jsonl."""

    def __init__(self, out: Path, step: int, pairs_seen: int, metrics_bytes: int) -> None:
        self._metrics = _reopen(out / METRICS, metrics_bytes)
        self._timing = open(out / TIMING, "a", encoding="utf-8")
        self._board = _board(out / TENSORBOARD, step)
        self._clock, self._pairs_then = time.perf_counter(), pairs_seen

    def write(self, line: dict[str, float]) -> float:
        """Append one line of metrics; returns the pairs per second since the line before."""
        step, pairs_seen = int(line["step"]), int(line["pairs_seen"])
        self._metrics.write((json.dumps(line) + "\n").encode())
        self._metrics.flush()
        speed = self._time(step, pairs_seen)
        for name, value in (line | ({"pairs_per_second": speed} if speed else {})).items():
            if name != "step":
                self._board.add_scalar(name, value, step)
        return speed

    def image(self, step: int, grid: Image) -> None:
        """Show a grid of samples in TensorBoard."""
        self._board.add_image("samples", np.asarray(grid), step, dataformats="HWC")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The time inside (samples, checkpoints) does not count as training."""
        began = time.perf_counter()
        yield
        self._clock += time.perf_counter() - began

    def settle(self) -> int:
        """Flush metrics.jsonl to disk and return its length in bytes."""
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        return int(self._metrics.tell())

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._metrics.close()
        self._timing.close()
        self._board.close()

    def _time(self, step: int, pairs_seen: int) -> float:
        now = time.perf_counter()
        seconds, pairs = now - self._clock, pairs_seen - self._pairs_then
        self._clock, self._pairs_then = now, pairs_seen
        if not pairs:  # before the first step
            return 0.0
        speed = pairs / seconds
        line = {"step": step, "seconds": round(seconds, 4), "pairs_per_second": round(speed, 3)}
        self._timing.write(json.dumps(line) + "\n")
        self._timing.flush()
        return speed


class Silence:
    """The log of a rank that writes none."""

    def write(self, line: dict[str, float]) -> float:  # noqa: ARG002
        """No line."""
        return 0.0

    def image(self, step: int, grid: Image) -> None:
        """No image."""

    def aside(self) -> AbstractContextManager[None]:
        """No clock."""
        return nullcontext()

    def settle(self) -> int:
        """No bytes."""
        return 0

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _reopen(path: Path, length: int) -> Any:
    """Open ``path`` for appending after its first ``length`` bytes; what a killed run wrote later is cut off."""
    file = open(path, "ab")
    if file.tell() < length:
        file.close()
        raise UserError(f"{path}: shorter than the {length} bytes it had at the checkpoint; remove the run's folder")
    file.truncate(length)
    file.seek(length)
    return file


def _board(folder: Path, step: int) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
