"""``metrics.json`` as a table for people, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TRAINED, CHOSE = "†", "‡"
Row = Sequence[str]


def table(metrics: Mapping[str, Any]) -> str:
    """``metrics.json`` as Markdown: a row for each scorer and model, then one for each model, then what to know.

    † marks scorers that training used, ‡ the one that chose the samples. A model whose images of a prompt are more
    alike than the base's is named: a score that rises while diversity falls may be reward hacking.
    """
    share = f"{metrics['confidence']:.0%}"
    head = ("scorer", "model", "mean", "median", f"mean difference ({share})", f"win rate ({share})")
    scores = _markdown((*head, "win / tie / loss", "p (Holm)"), 2, [_row(result) for result in metrics["results"]])
    parts = [scores, _images(metrics, share), "\n".join([*_notes(metrics), *_warnings(metrics)]) + "\n"]
    return "\n".join(part for part in parts if part)


def _markdown(head: Row, texts: int, rows: Sequence[Row]) -> str:
    """A table whose first ``texts`` columns are no numbers."""
    ruler = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "".join("| " + " | ".join(map(_cell, row)) + " |\n" for row in (head, ruler, *rows))


def _row(result: Mapping[str, Any]) -> Row:
    marks = (TRAINED if result["in_training"] else "") + (CHOSE if result.get("in_choosing") else "")
    marked = f"{result['scorer']} {marks}".rstrip()
    row = (marked, result["model"], number(result["mean"]), number(result["median"]))
    versus = result["against_base"]
    if versus is None:
        return (*row, "", "", "", "")
    difference = with_interval(versus, "mean_difference", "+.4f")
    counts = f"{versus['wins']} / {versus['ties']} / {versus['losses']}"
    return (*row, difference, with_interval(versus, "win_rate", ".3f"), counts, number(versus.get("p_holm"), ".3g"))


def _images(metrics: Mapping[str, Any], share: str) -> str:
    """What is said of the images themselves, a row a model; empty in a file of an older version."""
    columns = dict(_columns(metrics, share))
    rows = [(model, *(cells[model] for cells in columns.values())) for model in metrics["models"]]
    return _markdown(("model", *columns), 1, rows) if columns else ""


def _columns(metrics: Mapping[str, Any], share: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Name and cell of each model, for each figure that is there."""
    embedding = metrics.get("embedding")
    sources = [("", metrics), *([(f" by {embedding['scorer']}", embedding)] if embedding else [])]
    for by, source in sources:
        for name in ("diversity", "drift"):
            if any(source.get(name, {}).values()):
                yield (
                    f"{name}{by} ({share})",
                    {model: _interval(found, "value") for model, found in source[name].items()},
                )
    if inception := metrics.get("inception"):
        models = {model: f"{found['score']:.2f} ± {found['std']:.2f}" for model, found in inception["models"].items()}
        yield "Inception Score", models
    if safety := metrics.get("safety"):
        yield f"unsafe share ({share})", {model: _interval(found, "rate") for model, found in safety["models"].items()}


def _interval(found: Mapping[str, float] | None, name: str) -> str:
    if not found:
        return number(None)
    return f"{found[name]:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _notes(metrics: Mapping[str, Any]) -> Iterator[str]:
    samples = f"{metrics['samples']} samples, same initial noise for every model."
    if chosen := metrics.get("choose"):
        scorer = chosen.partition(":")[2]
        samples = f"{metrics['samples']} samples, of which every scorer judges the one with the median {scorer}."
    yield f"{metrics['prompts']} prompts × {samples}"
    if any(result["in_training"] for result in metrics["results"]):
        yield f"{TRAINED} took part in training or in selecting its data: no independent judge."
    if chosen:
        yield f"{CHOSE} chose which sample is judged."
    if inception := metrics.get("inception"):
        images = next(iter(inception["models"].values()))["images"]
        yield f"Inception Score by {inception['classifier']}, {images} images a model in {inception['splits']} splits."
    if safety := metrics.get("safety"):
        unsafe, above = ", ".join(safety["unsafe"]), f"{safety['threshold']:g}"
        yield f"Unsafe is what {safety['classifier']} gives more than {above} of probability to: {unsafe}."


def _warnings(metrics: Mapping[str, Any]) -> Iterator[str]:
    """A line for each model whose diversity lies below the base's, interval from interval."""
    for by, source in (("pixels", metrics), ("embeddings", metrics.get("embedding") or {})):
        diversity = source.get("diversity") or {}
        base = diversity.get(metrics["models"][0])
        for model, found in diversity.items():
            if base and found and found["high"] < base["low"]:
                fell = f"{_interval(found, 'value')}, the base's {_interval(base, 'value')}"
                yield f"{model}: images of one prompt are more alike than the base's (diversity of {by} {fell}). " + (
                    f"{' and '.join(risen)} rose: it may be reward hacking."
                    if (risen := _risen(metrics, model))
                    else "No score rose."
                )


def _risen(metrics: Mapping[str, Any], model: str) -> list[str]:
    """Scorers whose mean difference lies above 0 with its whole interval."""
    found = [result for result in metrics["results"] if result["model"] == model and result["against_base"]]
    return [result["scorer"] for result in found if result["against_base"]["mean_difference_low"] > 0]


def number(value: float | None, form: str = "#.4g") -> str:
    """A figure for a table, or a dash."""
    return "–" if value is None else format(value, form).replace("-", "−")


def with_interval(values: Mapping[str, float], name: str, form: str) -> str:
    """``value (low to high)`` of the three entries `name`, `name_low`, `name_high`."""
    value, low, high = (number(values[name + end], form) for end in ("", "_low", "_high"))
    return f"{value} ({low} to {high})"


def _cell(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())
