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
    parts = ["prepare", "step", "kernels", "variants", "train", "train, 4 times the pairs at once"]
    parts += ["train all weights", "d3po", "generate"]
    assert list(found) == ["card", "torch", *(f"tiny: {part}" for part in parts)]
    assert all(value > 0 for part in parts for name, value in found[f"tiny: {part}"].items() if name != "took")
    assert {"ours", "floor", "peers"} <= found["tiny: step"].keys()
    assert {"8 pairs: per second", "TF32", "channels last, per second"} <= found["tiny: variants"].keys()


@pytest.mark.slow
def test_an_unknown_part_is_told(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--models", "tiny", "--parts", "nothing"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.returncode, found.stderr.splitlines()[-1]) == (2, "measure.py: error: --parts: tiny has no nothing")


@pytest.mark.slow
def test_a_part_alone_goes_on_with_the_model_of_an_earlier_call(tmp_path: Path) -> None:
    for part in ("prepare", "train"):
        command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--models", "tiny", "--parts", part]
        subprocess.run(command, check=True, capture_output=True, text=True)
        assert list(json.loads((tmp_path / "figures.json").read_text()))[2:] == [f"tiny: {part}"]
