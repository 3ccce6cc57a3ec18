"""Rows as LaTeX, figures as CSV."""

from __future__ import annotations

import csv
import io
import math

import pytest

from tastemaker.reproduce.typeset import cell, latex, tidy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("+0.5 (-0.25 to +1.25)", "+0.5 ($-$0.25 to +1.25)"),
        ("DPO-QSD, rank 64", "DPO-QSD, rank 64"),
        ("best-world-30%", r"best-world-30\%"),
        ("utility − base (95 %)", r"utility $-$ base (95 \%)"),
        ("random_1 & 2", r"random\_1 \& 2"),
        ("losses × credits – all", r"losses $\times$ credits -- all"),
        ("t/T in 0.3–0.4", "t/T in 0.3--0.4"),
    ],
)
def test_cells(text, said):
    assert cell(text) == said


def test_latex_by_hand():
    lines = latex("One", [["", "a"], ["x", "-1"]], [["b"], ["2"]]).splitlines()
    assert lines == [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\caption{One}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r" & a \\",
        r"\midrule",
        r"x & $-$1 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\begin{tabular}{l}",
        r"\toprule",
        r"b \\",
        r"\midrule",
        r"2 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_csv_leaves_out_what_is_no_number():
    rows = [{"name": 'a, "b"', "value": 0.1, "low": -math.inf, "high": math.inf}, {"name": "c", "value": None}]
    text = tidy(("name", "value", "low", "high"), rows)
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "value", "low", "high"],
        ['a, "b"', "0.1", "", ""],
        ["c", "", "", ""],
    ]
    with pytest.raises(ValueError, match="fieldnames"):
        tidy(("name",), [{"other": 1}])
