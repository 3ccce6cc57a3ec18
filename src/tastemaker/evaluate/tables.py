"""``metrics.json`` as tables for people, papers and programs: Markdown, LaTeX and tidy CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tastemaker.base import files
from tastemaker.evaluate.latex import latex, of_model
from tastemaker.evaluate.metrics import table

LABELS = ("model", "scorer", "in_training", "in_choosing")
COLUMNS = (*LABELS, "mode", "group", "group_value", "figure", "value", "low", "high")
"""``mode``: how a prompt's samples became one number; ``group``: which prompts are meant (empty: all)."""
OF_A_MODEL = ("diversity", "drift", "inception", "safety")
WRITERS = {"table.md": table, "table.tex": latex}
Row = dict[str, Any]


def write(metrics: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``table.md``, ``table.tex`` and ``table.csv`` into ``folder``; returns their paths."""
    texts = {name: writer(metrics) for name, writer in WRITERS.items()} | {"table.csv": tidy(metrics)}
    for name, text in texts.items():
        files.write_text(folder / name, text)
    return [folder / name for name in texts]


def tidy(metrics: Mapping[str, Any]) -> str:
    """Every figure of ``metrics.json`` in a row of its own, as CSV with the header `COLUMNS`.

    ``low`` and ``high`` are the limits of its interval where it has one; a figure that could not be computed has an
    empty ``value``. Newer figures that this function does not know by name get rows all the same.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for result in metrics["results"] for row in _of_result(result))
    writer.writerows(row for model in metrics["models"] for row in _of_model(metrics, model))
    return buffer.getvalue()


def _of_result(result: Mapping[str, Any]) -> Iterator[Row]:
    own = {"in_choosing": False} | {name: result[name] for name in LABELS if name in result}
    plain = {name: value for name, value in result.items() if name not in LABELS and not isinstance(value, Mapping)}
    plain.pop("against_base", None)  # null where the model is the base
    yield from _rows(own, plain)
    yield from _rows(own | {"mode": "mean"}, result["against_base"] or {})
    for mode, versus in (result.get("by_mode") or {}).items():
        yield from _rows(own | {"mode": mode}, versus or {})
    for field, values in (result.get("by_group") or {}).items():
        for value, found in values.items():
            label = own | {"group": field, "group_value": value}
            yield from _rows(label, {name: found[name] for name in ("prompts", "mean")})
            yield from _rows(label | {"mode": "mean"}, found["against_base"] or {})


def _of_model(metrics: Mapping[str, Any], model: str) -> Iterator[Row]:
    """What is said of a model's images themselves; ``scorer`` is the one in whose embeddings distances were taken."""
    yield from _of_images({"model": model}, metrics, model)
    if embedding := metrics.get("embedding"):
        yield from _of_images({"model": model, "scorer": embedding["scorer"]}, embedding, model)


def _of_images(labels: Row, metrics: Mapping[str, Any], model: str) -> Iterator[Row]:
    for name in OF_A_MODEL:
        found = of_model(metrics, name, model)
        if found and "value" in found:
            yield labels | {"figure": name} | {key: found.get(key) for key in ("value", "low", "high")}
        elif found:
            value = found.get("score" if name == "inception" else "rate")
            more = {key: found[key] for key in ("low", "high") if key in found}
            yield labels | {"figure": name, "value": value} | more
            rest = {f"{name}_{key}": found[key] for key in ("std", "images") if key in found}
            yield from _rows(labels, rest)


def _rows(labels: Row, figures: Mapping[str, Any]) -> Iterator[Row]:
    """A row for each of ``figures``; ``x_low`` and ``x_high`` go into the row of x."""
    values = dict(figures)
    if "wilson_low" in values:
        values["wilson"] = values["win_rate"]
    for name, value in values.items():
        if _limit_of(name) in values or isinstance(value, Mapping | list):
            continue
        limits = {end: values[f"{name}_{end}"] for end in ("low", "high") if f"{name}_{end}" in values}
        yield labels | {"figure": name, "value": value} | limits


def _limit_of(name: str) -> str | None:
    """``x`` of ``x_low`` and ``x_high``."""
    return next((name.removesuffix(end) for end in ("_low", "_high") if name.endswith(end)), None)
