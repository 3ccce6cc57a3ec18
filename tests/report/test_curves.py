"""Curves of logs whose lines do not all have the same columns."""

from __future__ import annotations

import json
import math
from pathlib import Path

from tastemaker.report import curves, inputs


def write(run: Path, lines: list[dict[str, float]]) -> Path:
    run.mkdir(exist_ok=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_columns_of_all_lines_are_read(tmp_path: Path) -> None:
    """A validation before the first step, and a line whose steps were all skipped."""
    lines = [
        {"step": 0, "pairs_seen": 0, "validation_accuracy": 0.5},
        {"step": 1, "pairs_seen": 8, "loss": 0.7},
        {"step": 2, "pairs_seen": 16},
        {"step": 3, "pairs_seen": 24, "loss": 0.6, "validation_accuracy": 0.6},
    ]
    columns = inputs.read_metrics(write(tmp_path, lines))
    assert list(columns) == ["step", "pairs_seen", "validation_accuracy", "loss"]
    assert curves._known(columns, "validation_accuracy") == ([0, 24], [0.5, 0.6])
    assert curves._known(columns, "loss") == ([8, 24], [0.7, 0.6])
    figure = curves.training({"run": columns})
    assert "held-out pairs" in figure.wide


def test_thinning_keeps_every_validation() -> None:
    count = 5000
    accuracy = [0.5 if row % 777 == 0 else math.nan for row in range(count)]
    columns = {"pairs_seen": list(range(count)), "loss": [0.7] * count, "validation_accuracy": accuracy}
    thin = curves._thin(columns)
    assert [p for p, a in zip(thin["pairs_seen"], thin["validation_accuracy"], strict=True) if not math.isnan(a)] == [
        row for row in range(count) if row % 777 == 0
    ]
