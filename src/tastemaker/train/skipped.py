"""Steps that were skipped because a number in them broke: what is kept about them, and when a run gives up.

    skipped.jsonl    {"step", "pairs_seen", "reason": "loss" | "gradient" | "scale", "pairs": [pair ids]}

``loss``: the loss or a figure of these pairs is not finite. ``gradient``: all losses are finite, their gradient is not;
the pairs are all of the step. ``scale``: float16's scale was too large, which is nobody's fault, so no pair is named
and no warning given (`train.scaling`).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from tastemaker.base.errors import Diverged, UserError

LOG = logging.getLogger(__name__)
NAME = "skipped.jsonl"
PATIENCE = 3
"""Skipped steps in a row that end a run."""
SCALE = "scale"
NAMED = 8
"""Pair ids in a message."""


def append(out: Path, step: int, pairs_seen: int, reason: str, pairs: Sequence[str]) -> int:
    """Write a line durably and warn of the pairs in it, if any; returns the file's length in bytes."""
    line = {"step": step, "pairs_seen": pairs_seen, "reason": reason, "pairs": list(pairs)}
    with open(out / NAME, "ab") as file:
        file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())
        length = file.tell()
    if pairs:
        LOG.warning("%s: step %d skipped: %s not finite (pairs %s)", out, step, reason, shortened(pairs))
    return length


def cut(out: Path, length: int) -> None:
    """Go back to the first ``length`` bytes, which a checkpoint knows of. Raises `UserError` when there are fewer."""
    path = out / NAME
    there = path.stat().st_size if path.exists() else 0
    if there < length:
        raise UserError(f"{path}: shorter than the {length} bytes it had at the checkpoint; remove the run's folder")
    if there and not length:
        path.unlink()
    elif there > length:
        os.truncate(path, length)


def count(out: Path) -> int:
    """Steps that the run in ``out`` skipped because of what it read or computed, not of float16's scale."""
    path = out / NAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sum(json.loads(line)["reason"] != SCALE for line in lines)


def diverged(out: Path, step: int, pairs: Sequence[str], good: str, lr: float) -> Diverged:
    """What to say when `PATIENCE` is at its end; ``good`` is what there is to say of the last checkpoint."""
    return Diverged(
        f"{out}: {PATIENCE} steps in a row were skipped because their loss or gradient is not finite, the last one "
        f"step {step} (pairs {shortened(pairs)}; all in {NAME}); {good}; look at these pairs, or start again in "
        f"another out with a lower train.lr (it is {lr:g})"
    )


def shortened(pairs: Sequence[str]) -> str:
    """The first ids, and how many there are."""
    more = f", … ({len(pairs)} in all)" if len(pairs) > NAMED else ""
    return ", ".join(pairs[:NAMED]) + more
