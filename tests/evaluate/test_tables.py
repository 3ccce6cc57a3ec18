"""Markdown, LaTeX and tidy CSV of a small ``metrics.json`` whose every figure is known."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from tastemaker.evaluate import tables
from tastemaker.evaluate.latex import escape, latex, short_names
from tastemaker.evaluate.metrics import table


def versus(rate: float, difference: float, **more: Any) -> dict[str, Any]:
    """What `against_base` holds."""
    return {
        "prompts": 4, "epsilon": 0.0, "wins": 3, "ties": 0, "losses": 1,
        "win_rate": rate, "win_rate_low": rate - 0.1, "win_rate_high": rate + 0.1,
        "wilson_low": 0.3, "wilson_high": 0.95,
        "mean_difference": difference, "mean_difference_low": -1.0, "mean_difference_high": 1.0,
        "median_difference": 0.25, "p_wilcoxon": 0.5, **more,
    }  # fmt: skip


def result(scorer: str, model: str, mean: float | None, used: bool, against: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "scorer": scorer, "model": model, "in_training": used, "mean": mean, "median": mean, "std": 0.5,
        "images": 8, "unscored": 0, "against_base": against,
    }  # fmt: skip


def document() -> dict[str, Any]:
    """As `evaluate` wrote it before it had groups, modes and diversity."""
    return {
        "models": ["base", "QSD 30%", "a_b & <c>"], "scorers": ["hps@2.1", "pick@1"], "trained_with": ["hps@2.1"],
        "epsilon": {"hps@2.1": 0.0, "pick@1": 0.0}, "resamples": 100, "confidence": 0.95, "bootstrap_seed": 0,
        "prompts": 4, "samples": 2, "images_seed": 0,
        "results": [
            result("hps@2.1", "base", 0.25, True, None),
            result("hps@2.1", "QSD 30%", 0.28, True, versus(0.75, 0.03)),
            result("hps@2.1", "a_b & <c>", 0.2799999, True, versus(0.25, 0.0299999)),
            result("pick@1", "base", 21.5, False, None),
            result("pick@1", "QSD 30%", 21.0, False, versus(0.375, -0.5)),
            result("pick@1", "a_b & <c>", None, False, None),
        ],
    }  # fmt: skip


def newer() -> dict[str, Any]:
    """With everything that `evaluate` may say."""
    made = document()
    for entry in made["results"]:
        entry["sem"] = 0.125
        if entry["against_base"]:
            entry["against_base"]["p_holm"] = None if entry["in_training"] else 1.0
            entry["by_mode"] = {"median": versus(0.5, 0.0), "best": versus(1.0, 0.5)}
            entry["by_group"] = {"style": {"anime": {"prompts": 3, "mean": 0.3, "against_base": versus(0.6, 0.1)}}}
        else:
            entry["by_mode"] = None
            entry["by_group"] = {"style": {"anime": {"prompts": 3, "mean": 0.2, "against_base": None}}}
    # the last model could not be measured
    ofs = {"base": 0.5, "QSD 30%": 0.25}
    interval = {model: {"value": value, "low": value - 0.1, "high": value + 0.1} for model, value in ofs.items()}
    made["diversity"] = interval | {"a_b & <c>": None}
    made["drift"] = {"base": None, "QSD 30%": {"value": 0.2, "low": 0.1, "high": 0.3}, "a_b & <c>": None}
    scores = {model: {"score": 10 * value, "std": 0.5, "images": 8} for model, value in ofs.items()}
    scores["a_b & <c>"] = {"score": 1.0, "std": 0.0, "images": 8}
    made["inception"] = {"classifier": "world@1", "splits": 2, "models": scores}
    rates = {model: {"rate": value, "low": 0.0, "high": 1.0, "images": 8} for model, value in ofs.items()}
    rates["a_b & <c>"] = rates["base"]
    made["safety"] = {"classifier": "nsfw@1", "models": rates, "unsafe": ["nsfw"], "threshold": 0.5}
    made["embedding"] = {"scorer": "clip@1", "drift": dict.fromkeys(made["models"])}
    made["embedding"]["diversity"] = made["embedding"]["drift"] | {"base": {"value": 0.75, "low": 0.7, "high": 0.8}}
    for entry in made["results"]:
        entry["in_choosing"] = entry["scorer"] == "pick@1"
    return made | {"groups": {"style": ["anime"]}, "choose": "median:pick@1"}


def body(text: str) -> list[list[str]]:
    """The cells of each row between the rules."""
    inside = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
    lines = inside.strip().splitlines()
    assert all(line.endswith(r" \\") for line in lines)
    return [re.split(r"(?<!\\) & ", line.removesuffix(r" \\")) for line in lines]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def figure(found: list[dict[str, str]], **labels: str) -> dict[str, str]:
    (row,) = [row for row in found if all(row[name] == value for name, value in labels.items())]
    return row


def test_latex_by_hand() -> None:
    """0.28 and 0.2799999 look the same, so both are bold; one model alone with a score has nothing to beat it."""
    assert body(latex(document())) == [
        ["base", "0.2500", "--", r"\textbf{21.50}", "--"],
        [r"QSD 30\%", r"\textbf{0.2800}", r"\textbf{75.0}", "21.00", "37.5"],
        [r"a\_b \& \textless{}c\textgreater{}", r"\textbf{0.2800}", "25.0", "--", "--"],
    ]


def test_latex_marks_scorers_of_training_and_says_so() -> None:
    text = latex(document())
    assert r"\multicolumn{2}{c}{hps$^\dagger$} & \multicolumn{2}{c}{pick} \\" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}" in text
    assert text.count(r"$^\dagger$") == 2
    independent = document()
    for entry in independent["results"]:
        entry["in_training"] = False
    assert "dagger" not in latex(independent)


def test_latex_marks_values_where_models_were_trained_with_different_scorers() -> None:
    made = document()
    for entry in made["results"]:
        entry["in_training"] = (entry["scorer"], entry["model"]) == ("hps@2.1", "QSD 30%")
    text = latex(made)
    assert r"\multicolumn{2}{c}{hps} &" in text
    assert [row[1] for row in body(text)] == ["0.2500", r"\textbf{0.2800}$^\dagger$", r"\textbf{0.2800}"]
    assert text.count("dagger") == 2, "the value and the caption"


def test_latex_of_all_figures() -> None:
    """Diversity 0.5 and IS 5 are the largest, 25 % unsafe the least; drift has no best value."""
    text = latex(newer())
    found = body(text)
    assert found[0][5:] == [r"\textbf{5.00}", r"\textbf{0.5000}", "--", "0.7500", "50.0"]
    assert found[1][5:] == ["2.50", "0.2500", "0.2000", "--", r"\textbf{25.0}"]
    assert found[2][5:] == ["1.00", *["--"] * 3, "50.0"]
    assert "diversity (clip)" in text
    assert r"{pick$^\ddagger$}" in text
    assert r"the median by $^\ddagger$." in text


@pytest.mark.parametrize("made", [document(), newer()], ids=["older", "newer"])
def test_latex_is_balanced(made: dict[str, Any]) -> None:
    """As many cells in every row as columns, as many } as {, everything begun is ended."""
    text = latex(made)
    (columns,) = re.findall(r"\\begin\{tabular\}\{(l\w*)\}", text)
    assert {len(row) for row in body(text)} == {len(columns)}
    spans = [int(width) for width in re.findall(r"\\multicolumn\{(\d+)\}", text)]
    heads = text.split("\\toprule\n")[1].splitlines()[0]
    assert 1 + sum(spans) + (heads.count(" & ") - len(spans)) == len(columns)
    plain = text.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text)[::-1]
    assert text.isascii()


def test_escape() -> None:
    assert escape("50% of $a_b$ & c#d\n{e}~^\\\0") == (
        r"50\% of \$a\_b\$ \& c\#d \{e\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
    )


def test_names_are_short_unless_two_are_the_same() -> None:
    assert short_names(["hps@2", "hps@2.1", "pick@1"]) == {"hps@2": "hps@2", "hps@2.1": "hps@2.1", "pick@1": "pick"}


def test_csv_has_a_row_for_each_figure() -> None:
    found = rows(tables.tidy(document()))
    own = {"mean", "median", "std", "images", "unscored"}
    against = {
        "prompts", "epsilon", "wins", "ties", "losses", "win_rate", "wilson", "mean_difference", "median_difference",
        "p_wilcoxon",
    }  # fmt: skip
    assert {row["figure"] for row in found if row["model"] == "base"} == own
    assert {row["figure"] for row in found if row["model"] == "QSD 30%"} == own | against
    assert len(found) == 6 * len(own) + 3 * len(against)
    assert figure(found, model="QSD 30%", scorer="hps@2.1", figure="win_rate") == {
        "model": "QSD 30%", "scorer": "hps@2.1", "in_training": "True", "in_choosing": "False",
        "mode": "mean", "group": "", "group_value": "",
        "figure": "win_rate", "value": "0.75", "low": "0.65", "high": "0.85",
    }  # fmt: skip
    wilson = figure(found, model="QSD 30%", scorer="pick@1", figure="wilson")
    assert (wilson["value"], wilson["low"], wilson["high"]) == ("0.375", "0.3", "0.95")
    assert figure(found, model="a_b & <c>", scorer="pick@1", figure="mean")["value"] == ""


def test_csv_of_all_figures() -> None:
    found = rows(tables.tidy(newer()))
    tuned = {"model": "QSD 30%", "scorer": "pick@1"}
    assert figure(found, **tuned, figure="p_holm")["value"] == "1.0"
    assert figure(found, model="QSD 30%", scorer="hps@2.1", figure="p_holm")["value"] == ""
    assert figure(found, **tuned, mode="best", figure="win_rate")["value"] == "1.0"
    grouped = figure(found, **tuned, group="style", group_value="anime", figure="win_rate")
    assert (grouped["value"], grouped["low"], grouped["high"]) == ("0.6", "0.5", "0.7")
    assert figure(found, model="base", scorer="hps@2.1", group="style", figure="mean")["value"] == "0.2"
    embedded = figure(found, model="base", scorer="clip@1", figure="diversity")
    assert (embedded["value"], embedded["low"], embedded["high"]) == ("0.75", "0.7", "0.8")
    drift = figure(found, model="QSD 30%", figure="drift")
    assert (drift["scorer"], drift["value"], drift["low"], drift["high"]) == ("", "0.2", "0.1", "0.3")
    assert [row["model"] for row in found if row["figure"] == "diversity" and not row["scorer"]] == ["base", "QSD 30%"]
    assert figure(found, model="base", figure="inception")["value"] == "5.0"
    assert figure(found, model="base", figure="inception_std")["value"] == "0.5"
    unsafe = figure(found, model="QSD 30%", figure="safety")
    assert (unsafe["value"], unsafe["low"], unsafe["high"]) == ("0.25", "0.0", "1.0")
    keys = [tuple(row[name] for name in tables.COLUMNS[:8]) for row in found]
    assert len(set(keys)) == len(keys), "two rows mean the same figure"


def test_all_three_are_written(tmp_path: Path) -> None:
    paths = tables.write(newer(), tmp_path)
    assert [path.name for path in paths] == ["table.md", "table.tex", "table.csv"]
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == table(newer())
    assert (tmp_path / "table.tex").read_text(encoding="utf-8") == latex(newer())
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == tables.tidy(newer())
