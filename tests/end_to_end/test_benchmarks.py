"""The measurements of `benchmarks/gpu` on a tiny model; on a CPU their figures say nothing, but they are there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu" / "measure.py"


@pytest.mark.slow
def test_every_part_leaves_its_figures(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--models", "tiny"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads((tmp_path / "figures.json").read_text())
    parts = ["prepare", "step", "train", "train all weights", "d3po", "generate"]
    assert list(found) == ["card", "torch", *(f"tiny: {part}" for part in parts)]
    assert all(value > 0 for part in parts for value in found[f"tiny: {part}"].values())
    assert {"ours", "floor", "peers", "ours, 4 times the pairs", "ours, TF32"} <= found["tiny: step"].keys()
