"""A table of two arms whose every score is known: means, differences, win rates, claims, published columns, files."""

from __future__ import annotations

import csv
import json
import math

import pytest

from support.reproduced import by_hand, write_arm, write_base
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import Claim
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.tables import Row, Table, interval, rows_of

DPO, QSD, IPO = Arm("world"), Arm("world", credit="dde"), Arm("world", loss="ipo")
CLAIMS = (Claim("QSD beats DPO", QSD, DPO), Claim("DPO beats the base", DPO, None), Claim("IPO helps", IPO, None))
ROWS = (
    Row("base", None),
    Row("DPO", DPO, None, (5.39, 0.27)),
    Row("QSD", QSD, DPO, (5.62, 0.70)),
    Row("IPO", IPO, None, (5.60, 22.20)),
)
TABLE = Table("table9", "qsd", "Table 9: 100 % & more", "world", ROWS, CLAIMS, ("Aesthetic", "ImageReward"))
BASE = [0.0, 1.0, 2.0, 3.0]
GAINS = {DPO: ([0.01, 1.0, -1.0, 0.0], [1.0, 1.0, 1.0, 1.0]), QSD: ([2.0, 2.0, 2.0, 2.0], [2.0, 2.0, 2.0, 2.1])}
"""Utility minus the base's, of each seed."""


@pytest.fixture
def shop(tmp_path):
    made = by_hand(tmp_path)
    write_base(made, {"utility": BASE, "correct": [0, 0, 1, 1]})
    for arm, gains in GAINS.items():
        for seed, gain in enumerate(gains):
            utility = [low + more for low, more in zip(BASE, gain, strict=True)]
            write_arm(made, arm, seed, {"utility": utility, "correct": [1, 0, 1, 1]})
    return made


def cells(text: str) -> dict[str, list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


def test_the_page_by_hand(shop, tmp_path):
    """DPO: seeds' mean gains 0.0025 and 1, mean 0.501; a tie counts ½: (½ + 1 + 0 + ½)/4 and 1, rate 0.75."""
    found = cells(TABLE.write(Results(shop), tmp_path))
    assert found["base"] == ["1", "1.500", "0.500", "", "", "", "", ""]
    seeds, utility, correct, to_base, rate, partner, *published = found["DPO"]
    assert (seeds, utility, correct) == ("2", "2.001", "0.750")
    assert to_base.startswith("+0.501 (")
    assert rate == "0.750 (0.000 to 1.000)"
    assert partner == ""
    assert published == ["5.39", "0.27"]
    assert found["QSD"][4] == "1.000 (1.000 to 1.000)"
    assert found["QSD"][5].startswith("+1.511 (")  # 2.0125 − 0.50125
    assert found["QSD"][6:] == ["5.62", "0.70"]
    assert found["IPO"] == ["–", "", "", "", "", "", "5.60", "22.20"]


def test_claims_by_hand(shop, tmp_path):
    """QSD − DPO: seeds' means 1.9975 and 1.025; with one degree of freedom that says nothing. IPO has not run."""
    found = cells(TABLE.write(Results(shop), tmp_path))
    assert found["QSD beats DPO"][0] == "2"
    assert found["QSD beats DPO"][1].startswith("+1.511 (")
    assert found["QSD beats DPO"][2] == "not distinguishable"
    assert "IPO helps" not in found


def test_a_claim_that_fails_is_written_down_as_such(shop, tmp_path):
    """IPO lies 1 below the base in both seeds, at every prompt."""
    for seed in (0, 1):
        write_arm(shop, IPO, seed, {"utility": [low - 1 for low in BASE], "correct": [0] * 4})
    found = cells(TABLE.write(Results(shop), tmp_path))
    assert found["IPO helps"][1:] == ["-1.000 (-1.000 to -1.000)", "does not hold: the other way round"]


def test_one_seed_is_told(shop, tmp_path):
    write_arm(shop, IPO, 4, {"utility": [low + 1 for low in BASE], "correct": [0] * 4})
    found = cells(TABLE.write(Results(shop), tmp_path))
    assert found["IPO"][3] == "+1.000 (one seed)"
    assert found["IPO helps"] == ["1", "+1.000 (one seed)", "not said: one seed"]
    document = json.loads((tmp_path / "table9.json").read_text())
    assert document["rows"]["IPO"][0]["to_base"] == {"value": 1.0, "low": None, "high": None}
    rows = list(csv.DictReader((tmp_path / "table9.csv").open()))
    row = next(row for row in rows if (row["row"], row["figure"], row["judge"]) == ("IPO", "to_base", "utility"))
    assert (row["value"], row["low"], row["high"]) == ("1.0", "", "")


def test_nothing_finished_or_no_base_is_no_table(tmp_path):
    shop = by_hand(tmp_path)
    assert TABLE.write(Results(shop), tmp_path) == ""
    write_arm(shop, DPO, 0, {"utility": BASE, "correct": BASE})
    assert TABLE.write(Results(shop), tmp_path) == ""
    assert not list(tmp_path.glob("table9*"))


def test_json_and_csv_have_every_figure_of_every_judge(shop, tmp_path):
    TABLE.write(Results(shop), tmp_path)
    document = json.loads((tmp_path / "table9.json").read_text())
    rows = list(csv.DictReader((tmp_path / "table9.csv").open()))
    by_key = {(row["row"], row["judge"], row["figure"]): row for row in rows}
    assert len(by_key) == len(rows)
    for label, some in document["rows"].items():
        for cell in some:
            assert float(by_key[label, cell["judge"], "mean"]["value"]) == cell["mean"]
            for name in ("to_base", "win_rate", "to_partner"):
                if cell[name]:
                    row = by_key[label, cell["judge"], name]
                    assert {key: float(row[key]) for key in ("value", "low", "high")} == cell[name]
                    assert row["seeds"] == str(cell["seeds"])
    assert by_key["QSD", "ImageReward", "published"]["value"] == "0.7"
    assert by_key["DPO", "correct", "win_rate"]["arm"] == DPO.name
    assert float(by_key["DPO beats the base", "utility", "claim"]["value"]) == pytest.approx(0.50125)
    assert [claim["claim"] for claim in document["claims"]] == ["QSD beats DPO", "DPO beats the base"]


def test_latex_says_what_the_page_says(shop, tmp_path):
    page = cells(TABLE.write(Results(shop), tmp_path))
    text = (tmp_path / "table9.tex").read_text()
    assert r"\caption{Table 9: 100 \% \& more}" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    lines = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]
    table = {row[0]: row[1:] for row in lines}
    assert {len(row) for row in lines} == {9, 4}
    assert table["DPO"][:3] == page["DPO"][:3]
    assert table["DPO"][-2:] == ["5.39", "0.27"]
    assert table["DPO beats the base"][1].startswith("+0.501 ($-$")


def test_arms_and_stages(shop):
    """Each arm once, also those that only a partner or a claim names; the base first."""
    assert TABLE.arms == [DPO, QSD, IPO]
    names = [stage.name for stage in TABLE.stages(shop, (0, 1))]
    assert names == ["score world base", *(f"score {arm.name} seed {seed}" for seed in (0, 1) for arm in TABLE.arms)]


def test_interval_and_rows():
    assert interval(None, ".3f") == ""
    assert interval(Interval(0.5, -0.25, 1.25), "+.2f") == "+0.50 (-0.25 to +1.25)"
    assert interval(Interval(0.5, -math.inf, math.inf), ".1f") == "0.5 (one seed)"
    assert rows_of([["a", "b"], ["1", "2"]]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
    assert rows_of([]) == []
