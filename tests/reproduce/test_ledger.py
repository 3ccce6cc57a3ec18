"""The table of every score: from it every figure of the page can be worked out again."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from support.reproduced import by_hand, write_arm, write_base
from tastemaker.reproduce import ledger
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.results import Results, crossed

ONE, TWO, NEVER = Arm("world"), Arm("world", loss="ipo"), Arm("world", loss="kto")


@pytest.fixture
def shop(tmp_path):
    made = by_hand(tmp_path, 2)
    write_base(made, {"utility": [0.5, 0.25], "correct": [0, 1]})
    write_arm(made, ONE, 0, {"utility": [1.0, 2.0], "correct": [1, 1]}, step=30)
    write_arm(made, ONE, 3, {"utility": [3.0, 4.0], "correct": [1, 0]}, step=60)
    write_arm(made, TWO, 0, {"utility": [5.0, 6.0], "correct": [0, 0]}, step=90)
    return made


def test_rows_by_hand(shop, tmp_path):
    """An arm that two exhibits name stands there once; one that has not run does not; the base is seed −1."""
    path = tmp_path / ledger.NAME
    ledger.write(Results(shop), [ONE, TWO, ONE, NEVER], path)
    rows = [tuple(row.values()) for row in pq.read_table(path).to_pylist()]
    assert rows == [
        ("world-base", -1, -1, 0, 0.5, 0.0),
        ("world-base", -1, -1, 1, 0.25, 1.0),
        (ONE.name, 0, 30, 0, 1.0, 1.0),
        (ONE.name, 0, 30, 1, 2.0, 1.0),
        (ONE.name, 3, 60, 0, 3.0, 1.0),
        (ONE.name, 3, 60, 1, 4.0, 0.0),
        (TWO.name, 0, 90, 0, 5.0, 0.0),
        (TWO.name, 0, 90, 1, 6.0, 0.0),
    ]
    kinds = {field.name: str(field.type) for field in pq.read_schema(path)}
    assert kinds == {
        "arm": "string", "seed": "int8", "step": "int32", "prompt": "int32", "utility": "float", "correct": "float",
    }  # fmt: skip


def test_the_same_results_give_the_same_bytes(shop, tmp_path):
    for name in ("one", "two"):
        ledger.write(Results(shop), [ONE, TWO], tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_finished_is_an_empty_table(tmp_path):
    path = tmp_path / ledger.NAME
    ledger.write(Results(by_hand(tmp_path)), [ONE], path)
    assert pq.read_table(path).num_rows == 0


def test_a_figure_can_be_worked_out_again(shop, tmp_path):
    """ONE's difference to the base from the ledger alone: (1 − .5, 2 − .25; 3 − .5, 4 − .25)."""
    path = tmp_path / ledger.NAME
    ledger.write(Results(shop), [ONE, TWO], path)
    rows = pq.read_table(path).to_pylist()
    base = {row["prompt"]: row["utility"] for row in rows if row["seed"] == -1}
    mine = [row for row in rows if row["arm"] == ONE.name]
    d = [[row["utility"] - base[row["prompt"]] for row in mine if row["seed"] == seed] for seed in (0, 3)]
    assert crossed(d) == crossed(Results(shop).difference(ONE, None, "utility"))
    assert crossed(d).value == pytest.approx(2.125)
