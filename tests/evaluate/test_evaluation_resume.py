"""An evaluation that broke down goes on, and a finished one is recognised."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.painted import BASE, TUNED, Channel, painted
from tastemaker.base.errors import UserError
from tastemaker.evaluate import looking
from tastemaker.evaluate.evaluation import evaluate


def test_a_run_that_broke_down_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after 12 of 16 images, the second run scores the other four and ends with the same bytes."""
    monkeypatch.setattr(looking, "CHUNK", 4)
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    with pytest.raises(UserError, match="went down"):
        evaluate(folders, [Channel("red@1", breaks_after=12)], tmp_path / "eval")
    assert not (tmp_path / "eval/scores.parquet").exists()
    again = Channel("red@1")
    evaluate(folders, [again], tmp_path / "eval")
    evaluate(folders, [Channel("red@1")], tmp_path / "whole")
    assert again.seen == 4
    for name in ("scores.parquet", "metrics.json", "table.md"):
        assert (tmp_path / "eval" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_finished_evaluation_is_recognised(tmp_path: Path) -> None:
    folders = [painted(tmp_path / "base", BASE), painted(tmp_path / "tuned", TUNED)]
    first = evaluate(folders, [Channel("red@1")], tmp_path / "eval", resamples=10)
    idle = Channel("red@1")
    assert evaluate(folders, [idle], tmp_path / "eval", resamples=10) == first
    assert idle.seen == 0
    with pytest.raises(UserError, match="other inputs or settings"):
        evaluate(folders, [idle], tmp_path / "eval", resamples=20)
