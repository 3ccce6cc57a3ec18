"""Rows of text as LaTeX, and figures in tidy rows as CSV, beside the page."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tastemaker.evaluate.latex import escape

Rows = Sequence[Sequence[str]]
"""The first row is the head."""
SIGNS = {"−": "$-$", "–": "--", "×": r"$\times$", "≥": r"$\geq$", "±": r"$\pm$", "†": r"$\dagger$", "Δ": r"$\Delta$"}
NO_NUMBER = ("inf", "-inf", "nan", "None")
_MINUS = re.compile(r"(?<![\w-])-(?=\d)")


def latex(title: str, *tables: Rows) -> str:
    """A ``table`` with ``booktabs`` rules, in it a ``tabular`` for each of ``tables``: text left, the rest right."""
    lines = ["% needs \\usepackage{booktabs}", r"\begin{table}", r"\centering", rf"\caption{{{cell(title)}}}"]
    lines += [line for rows in tables for line in _tabular(rows)]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def cell(text: str) -> str:
    """``text`` letter by letter, with true minus signs before figures."""
    made = _MINUS.sub("$-$", escape(text))
    return "".join(SIGNS.get(letter, letter) for letter in made)


def _tabular(rows: Rows) -> list[str]:
    head, *body = (" & ".join(map(cell, row)) + r" \\" for row in rows)
    columns = "l" + "r" * (len(rows[0]) - 1)
    return [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]


def tidy(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV with these columns; what a row lacks, and an interval's end that is not finite, stays empty."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if str(value) in NO_NUMBER else value for name, value in row.items()} for row in rows)
    return buffer.getvalue()


def probability(p: float) -> str:
    """As tables and sentences print a p value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
