"""SIGKILL anywhere in an export: the old one or the new one is there, and the next export ends in the same files."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from study.pictured import answer, made
from study.test_exporting import contents
from tastemaker.study.db import open_study
from tastemaker.study.exporting import How, write
from tastemaker.study.series import open_series


def killed_at(moment: int, study: Path, out: Path, seed: int) -> None:
    """Export, with SIGKILL just before the durable step number ``moment``, or after it where it is negative."""
    steps = 0

    def deadly(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **more: Any) -> None:
            nonlocal steps
            steps += 1
            if steps == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            step(*arguments, **more)
            if steps == -moment:
                os.kill(os.getpid(), signal.SIGKILL)

        return run

    os.replace, os.rename = deadly(os.replace), deadly(os.rename)
    write(open_series(study), out, How(seed=seed))


STEPS = 8 + 3
"""Files of one question's export, its image shard among them; the new folder, the old one away, the new one there."""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [*range(1, STEPS + 1), *range(-STEPS, 0)])
def test_a_kill_leaves_the_old_export_or_the_new_one(tmp_path: Path, moment: int) -> None:
    """Or none, between the last two renames; the next export ends in the same files, and nothing is left beside it."""
    study, out = made(tmp_path, prompts=2), tmp_path / "out"
    answer(open_study(study))
    write(open_series(study), tmp_path / "expected", How(seed=1))
    write(open_series(study), out)
    old, new = contents(out), contents(tmp_path / "expected")
    new["summary.json"]["out"] = str(out)
    written = (out / "votes.csv").stat().st_mtime_ns
    process = multiprocessing.get_context("fork").Process(target=killed_at, args=(moment, study, out, 1))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    between = moment in (STEPS, 1 - STEPS)
    assert (not out.exists()) if between else contents(out) == (new if moment == -STEPS else old)
    if between:  # the same export as before brings the old one back, and does not make it anew
        write(open_series(study), out)
        assert (contents(out), (out / "votes.csv").stat().st_mtime_ns) == (old, written)
    write(open_series(study), out, How(seed=1))
    assert contents(out) == new
    assert not [*tmp_path.glob(".tmp-*")]


def test_that_was_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, out, steps = made(tmp_path, prompts=2), tmp_path / "out", []
    answer(open_study(study))
    write(open_series(study), out)
    for name in ("replace", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *words, real=real: (steps.append(words), real(*words)))
    write(open_series(study), out, How(seed=1))
    assert len(steps) == STEPS
