"""The stepwise record from checkpoint to checkpoint, and at the end, of records written by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from support.reproduced import by_hand
from tastemaker.base.files import write_json
from tastemaker.report.credit import Recorded
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.dde_corrections import _moves_said, draw_ends, ends_of, moves

DDE = Arm("world", credit="dde")


def record(*winner):
    """[role, side, T]: the policy's of winners; the rest is 0."""
    found = np.zeros((2, 2, len(winner)), np.float32)
    found[0, 0] = winner
    return found


def put(shop, seed, records):
    run = shop.place(DDE, seed) / "run"
    for step, values in records.items():
        place = run / "checkpoints" / f"step-{step:06d}"
        place.mkdir(parents=True)
        trace = np.zeros((3, 2, values.shape[-1]), np.float32)
        save_file({"trace": trace, "record/log_ratio": values}, place / "memory.safetensors")
    write_json(run / "summary.json", {})


def test_movement_by_hand(tmp_path):
    """C of (·, −1, −3) is (−4, −3, 0), of norm 5; of (·, −4, −6) it is (−10, −6, 0): moved by (−6, −3, 0).

    The first correction has not moved from any.
    """
    shop = by_hand(tmp_path)
    put(shop, 0, {10: record(-9, -1, -3), 20: record(-9, -4, -6)})
    put(shop, 1, {10: record(-9, -1, -3), 20: record(-7, -1, -3)})
    found = moves(shop, DDE)
    assert found["10"] == []
    assert found["20"] == pytest.approx([np.sqrt(45 / 136), 0.0])
    line = _moves_said({"DDE": found, "DDE-step": {}})
    assert line[0].endswith("| seeds | step 10 | step 20 |")
    assert line[2] == "| DDE | 2 | – | 0.288 (0.000 to 0.575) |"
    assert line[3] == "| DDE-step | 0 | – | – |"


def test_a_run_that_is_not_finished_is_left_out(tmp_path):
    shop = by_hand(tmp_path)
    put(shop, 0, {10: record(-9, -1, -3)})
    (shop.place(DDE, 0) / "run" / "summary.json").unlink()
    assert moves(shop, DDE) == {}


def test_what_is_added_to_z_by_hand(tmp_path):
    """κ = ½, β = 6: 3 · ½ · ((C_θ^w − C_r^w) − (C_θ^l − C_r^l)); C of (·, −2) is (−2, 0), the loser's reference −1."""
    values = record(-9, -2)
    values[1, 1] = (-9, -1)
    credit = SimpleNamespace(stepwise=SimpleNamespace(scale=0.5))
    method = SimpleNamespace(credit=credit, link=SimpleNamespace(beta=6.0))
    entry = SimpleNamespace(method=method, recorded=Recorded(np.zeros((2, 2)), np.zeros((2, 2)), values))
    found = ends_of(entry)
    assert found["correction"] == [-2.0, 0.0]
    assert found["added to z"] == pytest.approx([1.5 * ((-2 - 0) - (0 - -1)), 0.0])
    draw_ends({"DDE, seed 0": found}, tmp_path / "ends.png")
    assert (tmp_path / "ends.png").read_bytes().startswith(b"\x89PNG")
