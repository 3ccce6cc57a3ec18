"""``metrics.json`` as a LaTeX table as papers print it: models in rows, scorers in columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tastemaker.evaluate.metrics import CHOSE, TRAINED, number

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip
MARKS = {TRAINED: r"$^\dagger$", CHOSE: r"$^\ddagger$"}


@dataclass(frozen=True)
class Column:
    """A figure of each model: over which head it stands, its own, its values (None: not there), and how they look."""

    group: str
    head: str
    values: Sequence[float | None]
    form: str
    marks: Sequence[str] = ()
    """Of each model's value, where they differ between models."""
    best: Callable[[Sequence[float]], float] | None = max

    def cells(self) -> list[str]:
        """The values as LaTeX; all that look like the best one are bold, unless no other is there to be better than."""
        marks = self.marks or [""] * len(self.values)
        return [text + mark for text, mark in zip(self._texts(), marks, strict=True)]

    def _texts(self) -> list[str]:
        texts = [number(value, self.form).replace("−", "$-$").replace("–", "--") for value in self.values]
        known = [value for value in self.values if value is not None]
        if self.best is None or len(known) < 2:
            return texts
        best = texts[self.values.index(self.best(known))]
        return [rf"\textbf{{{text}}}" if text == best else text for text in texts]


def latex(metrics: Mapping[str, Any]) -> str:
    """A ``table`` with ``booktabs`` rules; best value of a column bold, † and ‡ as in `metrics.table`.

    Under each scorer stand the mean score and the win rate against the base in percent (ties ½); then, where there are
    any, Inception Score, diversity, drift (which has no best value) and the share of unsafe images (lowest is best).
    """
    columns = [*_of_scorers(metrics), *_of_images(metrics)]
    cells = [column.cells() for column in columns]
    rows = [
        " & ".join([escape(model), *(column[row] for column in cells)]) for row, model in enumerate(metrics["models"])
    ]
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(metrics)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        *_heads(columns),
        r"\midrule",
        *(rf"{row} \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """``text`` as LaTeX shows it letter by letter; control characters and line breaks become blanks."""
    return "".join(SPECIAL.get(letter, letter) for letter in re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip())


def of_model(metrics: Mapping[str, Any], name: str, model: str) -> Mapping[str, Any] | None:
    """What ``metrics`` say of ``model`` under ``diversity``, ``drift``, ``inception`` or ``safety``, if anything."""
    found: Mapping[str, Any] = metrics.get(name) or {}
    value: Mapping[str, Any] | None = found.get("models", found).get(model)
    return value


def short_names(scorers: Sequence[str]) -> dict[str, str]:
    """Scorer → its name before the @, or its whole id where another scorer has the same name."""
    names = [scorer.partition("@")[0] for scorer in scorers]
    return {scorer: name if names.count(name) == 1 else scorer for scorer, name in zip(scorers, names, strict=True)}


def marks(result: Mapping[str, Any]) -> str:
    """† where the scorer took part in training, ‡ where it chose the samples."""
    return (TRAINED if result["in_training"] else "") + (CHOSE if result.get("in_choosing") else "")


def _of_scorers(metrics: Mapping[str, Any]) -> list[Column]:
    columns, names = [], short_names(metrics["scorers"])
    for scorer in metrics["scorers"]:
        entries = [result for result in metrics["results"] if result["scorer"] == scorer]
        by_model = {entry["model"]: entry for entry in entries}
        said = ["".join(MARKS[mark] for mark in marks(by_model[model])) for model in metrics["models"]]
        alike = len(set(said[1:] or said)) == 1  # then the scorer has the mark, else the values
        head = escape(names[scorer]) + (said[-1] if alike else "")
        means = [by_model[model]["mean"] for model in metrics["models"]]
        columns.append(Column(head, "mean", means, "#.4g", () if alike else said))
        rates = [_percent(by_model[model]["against_base"], "win_rate") for model in metrics["models"]]
        if any(rate is not None for rate in rates):
            columns.append(Column(head, r"win \%", rates, ".1f"))
    return columns


def _of_images(metrics: Mapping[str, Any]) -> list[Column]:
    columns, embedding = [], metrics.get("embedding") or {}
    by = rf" ({escape(embedding['scorer'].partition('@')[0])})" if embedding else ""
    for source, name, key, head, form, best in (
        (metrics, "inception", "score", "IS", ".2f", max),
        (metrics, "diversity", "value", "diversity", ".4f", max),
        (metrics, "drift", "value", "drift", ".4f", None),
        (embedding, "diversity", "value", f"diversity{by}", ".4f", max),
        (embedding, "drift", "value", f"drift{by}", ".4f", None),
        (metrics, "safety", "rate", r"unsafe \%", ".1f", min),
    ):
        found = [of_model(source, name, model) for model in metrics["models"]]
        values = [_percent(of, key) if name == "safety" else (of or {}).get(key) for of in found]
        if any(value is not None for value in values):
            columns.append(Column("", head, values, form, best=best))
    return columns


def _percent(values: Mapping[str, Any] | None, key: str) -> float | None:
    value = (values or {}).get(key)
    return None if value is None else 100 * value


def _heads(columns: Sequence[Column]) -> list[str]:
    """The scorers, a rule under each, and the figures."""
    spans: list[tuple[str, int]] = []
    for column in columns:
        if spans and column.group and spans[-1][0] == column.group:
            spans[-1] = (column.group, spans[-1][1] + 1)
        else:
            spans.append((column.group, 1))
    groups = [rf"\multicolumn{{{width}}}{{c}}{{{name}}}" if name else "" for name, width in spans]
    rules, at = [], 2
    for name, width in spans:
        rules += [rf"\cmidrule(lr){{{at}-{at + width - 1}}}"] if name else []
        at += width
    heads = " & ".join(["model", *(column.head for column in columns)])
    return [" & ".join(["", *groups]) + r" \\", "".join(rules), rf"{heads} \\"]


def _caption(metrics: Mapping[str, Any]) -> str:
    base, prompts, samples = metrics["models"][0], metrics["prompts"], metrics["samples"]
    says = f"{prompts} prompts, {samples} sample{'s' if samples > 1 else ''} each, the same initial noise. "
    says += rf"Win rates are against {escape(base)}, ties counted $\frac{{1}}{{2}}$."
    if metrics.get("choose"):
        says += rf" Of the samples of a prompt one is judged, the median by {MARKS[CHOSE]}."
    if any(result["in_training"] for result in metrics["results"]):
        says += rf" {MARKS[TRAINED]} took part in training or in selecting its data."
    return says
