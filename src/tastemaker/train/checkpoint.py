"""Checkpoints: a folder of safetensors, JSON and a SHA-256 manifest that is whole or not there.

    checkpoints/step-000100/
        weights.safetensors    the trained weights
        optimizer.safetensors  the optimizer's moments
        average.safetensors    the moving average, when there is one
        scaler.safetensors     the scale of a float16 loss, when there is one
        memory.safetensors     what the method remembers from step to step
        window.safetensors     sums of the metrics line that is not full yet
        state.json             step, pairs seen, lengths of the logs, skipped steps in a row, fingerprint of the run
        manifest.json          SHA-256 of every file above

No pickles: reading a checkpoint runs no code. A folder is written under a temporary name, flushed and renamed.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base import files, manifest
from tastemaker.base.errors import Diverged, UserError

if TYPE_CHECKING:
    from torch import Tensor

LOG = logging.getLogger(__name__)
FOLDER, STATE = "checkpoints", "state.json"


@dataclass(frozen=True)
class State:
    """Where a run stands: finished optimizer steps, pairs seen, and the lengths of its logs there."""

    step: int
    pairs_seen: int
    metrics_bytes: int
    fingerprint: str
    skipped_bytes: int = 0
    """Length of skipped.jsonl."""
    skips: int = 0
    """Steps that were skipped in a row, up to this one."""


@dataclass(frozen=True)
class Checkpoint:
    """A state and its tensors, grouped by file (`weights`, `optimizer`, `average`, …)."""

    state: State
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)


def path_of(out: Path, step: int) -> Path:
    """The folder of the checkpoint after ``step`` optimizer steps."""
    return out / FOLDER / f"step-{step:06d}"


def last_good(out: Path, step: int | None) -> str:
    """What a message says of the newest checkpoint, the one after ``step`` steps."""
    return "no checkpoint was saved" if step is None else f"{path_of(out, step)} is good"


def save(out: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write ``checkpoint`` durably, then remove all but the newest ``keep``.

    Raises:
        UserError: the disk is full or not writable; checkpoints written before are untouched.
        Diverged: a number in it is not finite; nothing is written.
    """
    path = path_of(out, checkpoint.state.step)
    if (broken := _broken(checkpoint)) is not None:
        good = next((f"{old} is good" for old in _newest_first(out)), "no checkpoint was saved")
        raise Diverged(
            f"{out}: {broken} is not finite after step {checkpoint.state.step}, so no checkpoint is written; {good}; "
            "start again in another out with a lower train.lr"
        )
    if path.exists():  # only a damaged one: the run resumed from before it and came here again
        shutil.rmtree(path)
    with files.atomic_folder(path) as folder:
        _write(folder, checkpoint)
    for old in _newest_first(out)[keep:]:
        shutil.rmtree(old)
    return path


def _broken(checkpoint: Checkpoint) -> str | None:
    """The first tensor that holds a number that is not finite, as `group/name`; 8-bit codes are no such numbers."""
    tensors = (
        (f"{group}/{name}", value) for group, named in checkpoint.tensors.items() for name, value in named.items()
    )
    numbers = ((name, value) for name, value in tensors if value.element_size() > 1)
    return next((name for name, value in numbers if not bool(value.isfinite().all())), None)


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    for name, tensors in checkpoint.tensors.items():
        write_tensors(folder / f"{name}.safetensors", tensors)
    files.write_json(folder / STATE, asdict(checkpoint.state))
    manifest.write(folder)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write ``tensors`` as safetensors; a write error (a full disk) becomes a `UserError`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: value.detach().contiguous().cpu() for name, value in tensors.items()}, path)
    except SafetensorError as error:
        raise UserError(f"{path}: cannot be written ({error}); free some space or choose another folder") from error


def newest(out: Path) -> Checkpoint | None:
    """The newest checkpoint whose manifest verifies; each damaged one on the way is one line of warning."""
    for path in _newest_first(out):
        problem = damage(path)
        if problem is None:
            return _read(path)
        LOG.warning("%s: damaged checkpoint (%s), going back to the one before", path, problem)
    return None


def damage(path: Path) -> str | None:
    """What is wrong with the checkpoint at ``path``, or None."""
    return manifest.damage(path, (STATE,))


def _read(path: Path) -> Checkpoint:
    from safetensors.torch import load_file

    tensors = {file.stem: load_file(file) for file in sorted(path.glob("*.safetensors"))}
    return Checkpoint(State(**files.read_json(path / STATE)), tensors)


def _newest_first(out: Path) -> list[Path]:
    return sorted((out / FOLDER).glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")), reverse=True)
