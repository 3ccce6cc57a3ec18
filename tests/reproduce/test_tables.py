"""A table of two arms whose every score is known: means, differences, win rates, claims, published columns, files."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import pytest

from support.reproduced import by_hand, write_arm, write_base
from tastemaker.base.files import write_json
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.exhibit import Claim
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.tables import Row, Table, interval, rows_of

DPO, QSD, IPO = Arm("world"), Arm("world", credit="dde"), Arm("world", loss="ipo")
CLAIMS = (
    Claim("QSD beats DPO", QSD, DPO),
    Claim("DPO beats the base", DPO, None, "ours"),
    Claim("IPO helps", IPO, None),
)
T1 = 12.7062
"""97.5 % quantile of Student's t with one degree of freedom."""
ROWS = (
    Row("base", None),
    Row("DPO", DPO, None, (5.39, 0.27), 1.0),
    Row("QSD", QSD, DPO, (5.62, 0.70), 0.0533),
    Row("IPO", IPO, None, (5.60, 22.20)),
)
ALONE = (Row("SDXL", None, None, (6.21, 1.09), 0.106),)
TABLE = Table(
    "table9", "qsd", "Table 9: 100 % & more", "world", ROWS, CLAIMS, ("Aesthetic", "ImageReward"), printed=ALONE
)
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
    write_json(made.pairs(Pairs(), 0).out, {"kept": 2956})
    write_json(made.place(DPO, 0) / "run" / "summary.json", {"pairs_seen": 1920})
    return made


def cells(text: str) -> dict[str, list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


def test_the_page_by_hand(shop, tmp_path):
    """DPO: seeds' mean gains 0.0025 and 1, mean 0.501; a tie counts ½: (½ + 1 + 0 + ½)/4 and 1, rate 0.75."""
    found = cells(TABLE.write(Results(shop), tmp_path))
    assert found[""][:5] == ["seeds", "utility†", "correct", "win rate (95 %)", "utility − partner (95 %)"]
    assert found[""][5:] == [
        "pairs read",
        "distinct (of all)",
        "published Aesthetic",
        "published ImageReward",
        "published samples",
    ]
    assert found["base"] == ["1", "1.500", "0.500", *[""] * 7]
    seeds, utility, correct, rate, partner, *counted = found["DPO"]
    assert (seeds, correct) == ("2", f"0.750 (+0.250 ± {T1 / 4:.3f})")  # √(0 + 0.25/4) = ¼
    assert utility.startswith("2.001 (+0.501 ± ")
    assert rate == "0.750 (0.000 to 1.000)"
    assert partner == ""
    assert counted == ["1,920", "1,920 (65 %)", "5.39", "0.27", "100 %"]
    assert found["QSD"][3] == "1.000 (0.510 to 1.000)"  # Wilson: 4/(4 + z²)
    assert found["QSD"][4].startswith("+1.511 (")  # 2.0125 − 0.50125
    assert found["QSD"][5:] == ["", "", "5.62", "0.70", "5.33 %"]
    assert found["IPO"] == ["–", "", "", "", "", "", "", "5.60", "22.20", ""]
    assert found["SDXL"] == [*[""] * 7, "6.21", "1.09", "10.6 %"]


def test_claims_by_hand(shop, tmp_path):
    """QSD − DPO: seeds' means 1.9975 and 1.025; two seeds say nothing. IPO has not run."""
    text = TABLE.write(Results(shop), tmp_path)
    found = cells(text)
    assert found["claim"] == ["whose", "seeds", "Δ utility (95 %)", "Δ correct (95 %)", "by", "p (Holm)", "here"]
    whose, seeds, utility, correct, by, p, here = found["QSD beats DPO"]
    assert (whose, seeds, by, here) == ("paper", "2", "utility", "too few seeds (2) to say")
    assert utility.startswith("+1.511 (")
    assert correct == "+0.000 (+0.000 to +0.000)"
    assert 0.05 < float(p) <= 1
    assert found["DPO beats the base"][0] == "ours"
    assert "IPO helps" not in found
    assert "corrected for the 3 claims" in text


def test_a_claim_that_fails_is_written_down_as_such(shop, tmp_path):
    """IPO lies 1 below the base in five seeds, at every prompt."""
    for seed in range(5):
        write_arm(shop, IPO, seed, {"utility": [low - 1 for low in BASE], "correct": [0] * 4})
    found = cells(TABLE.write(Results(shop), tmp_path))
    assert found["IPO helps"][2] == "-1.000 (-1.000 to -1.000)"
    assert found["IPO helps"][5:] == ["< 0.001", "does not hold: the other way round"]


def test_one_seed_is_told(shop, tmp_path):
    write_arm(shop, IPO, 4, {"utility": [low + 1 for low in BASE], "correct": [0] * 4})
    found = cells(TABLE.write(Results(shop), tmp_path))
    assert found["IPO"][1] == "2.500 (+1.000)"
    assert found["IPO"][3] == "1.000 (one seed)"
    assert found["IPO helps"][1:3] == ["1", "+1.000 (one seed)"]
    assert found["IPO helps"][4:] == ["utility", "–", "too few seeds (1) to say"]
    document = json.loads((tmp_path / "table9.json").read_text())
    assert document["rows"]["IPO"][0]["to_base"] == {"value": 1.0, "low": None, "high": None}
    rows = list(csv.DictReader((tmp_path / "table9.csv").open()))
    row = next(row for row in rows if (row["row"], row["figure"], row["judge"]) == ("IPO", "to_base", "utility"))
    assert (row["value"], row["low"], row["high"]) == ("1.0", "", "")


def test_a_partner_has_seeds_of_its_own(shop, tmp_path):
    """QSD has three seeds, DPO two: of their difference there are two, and that is said."""
    write_arm(shop, QSD, 2, {"utility": [low + 2 for low in BASE], "correct": [1, 0, 1, 1]})
    found = cells(TABLE.write(Results(shop), tmp_path))
    assert found["QSD"][0] == "3"
    assert found["QSD"][4].startswith("+1.511 (")
    assert found["QSD"][4].endswith(", 2 seeds")
    rows = list(csv.DictReader((tmp_path / "table9.csv").open()))
    of = {row["figure"]: row["seeds"] for row in rows if (row["row"], row["judge"]) == ("QSD", "utility")}
    assert of == {"mean": "3", "to_base": "3", "win_rate": "3", "to_partner": "2"}


def test_notes_below_the_table(shop, tmp_path):
    """The mark, the model of the figures, and, where all read as many pairs, what is saved."""
    table = replace(TABLE, source="SD1.5")
    assert "† utility chose settings and checkpoints" in table.write(Results(shop), tmp_path)
    write_json(shop.place(QSD, 0) / "run" / "summary.json", {"pairs_seen": 960})
    assert "distinct pairs, not steps" not in table.write(Results(shop), tmp_path)
    best = Arm("world", Pairs("best", "world", 0.3))
    write_arm(shop, best, 0, {"utility": BASE, "correct": BASE})
    write_json(shop.place(best, 0) / "run" / "summary.json", {"pairs_seen": 1920})
    write_json(shop.pairs(best.pairs, 0).out, {"kept": 887})
    text = replace(table, rows=(ROWS[1], replace(ROWS[2], arm=best))).write(Results(shop), tmp_path)
    assert "are of SD1.5." in text
    assert "distinct pairs, not steps" in text


def test_claims_of_several_judges_and_of_a_margin_say_so(shop, tmp_path):
    both = ("HPS", "CLIP")
    claims = (
        Claim("all", QSD, DPO, metrics=both),
        Claim("half", QSD, DPO, metrics=both, share=0.5),
        Claim("as good", QSD, DPO, metrics=both, margin=0.1),
    )
    text = replace(TABLE, claims=claims).write(Results(shop), tmp_path)
    assert [cells(text)[name][4] for name in ("all", "half", "as good")] == ["all 2", "1 of 2", "all 2"]
    assert 'The judges under "by" stand in for the paper\'s HPS, CLIP.' in text
    assert "fixed beforehand: utility 0.112, correct 0.050." in text  # √1.25/10, ½/10


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
                    assert row["seeds"] == str(cell["partner_seeds" if name == "to_partner" else "seeds"])
    assert by_key["QSD", "ImageReward", "published"]["value"] == "0.7"
    assert by_key["SDXL", "ImageReward", "published"]["value"] == "1.09"
    assert by_key["QSD", "", "published share of the pairs"]["value"] == "0.0533"
    assert {name: by_key["DPO", "", f"pairs {name}"]["value"] for name in ("read", "distinct", "whole")} == {
        "read": "1920",
        "distinct": "1920",
        "whole": "2956",
    }
    assert document["pairs"] == {"DPO": {"read": 1920, "distinct": 1920, "whole": 2956}}
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
    assert {len(row) for row in lines} == {11, 8}
    assert table["DPO"][0] == page["DPO"][0]
    assert table["DPO"][2] == page["DPO"][2].replace("±", r"$\pm$")
    assert table["DPO"][-3:] == ["5.39", "0.27", r"100 \%"]
    assert table["DPO beats the base"][2].startswith("+0.501 ($-$")


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
