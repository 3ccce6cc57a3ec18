"""Scores of several models on the same prompts → what ``metrics.json`` and the table say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tastemaker.evaluate import winrate

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def results(scores: Mapping[tuple[str, str], Floats], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry for each scorer and model, from (scorer, model) → scores [n, k]; the first model is the base."""
    base = settings["models"][0]
    statistics = {key: settings[key] for key in ("resamples", "confidence")} | {"seed": settings["bootstrap_seed"]}
    entries = []
    for scorer in settings["scorers"]:
        for model in settings["models"]:
            tuned_nk, epsilon = scores[scorer, model], settings["epsilon"][scorer]
            entry = {"scorer": scorer, "model": model, "in_training": scorer in settings["trained_with"]}
            versus = against_base(scores[scorer, base], tuned_nk, epsilon=epsilon, **statistics)
            entries.append(entry | summarise(tuned_nk) | {"against_base": versus if model != base else None})
    return entries


def summarise(score_nk: Floats) -> dict[str, Any]:
    """Mean, median and standard deviation (n − 1) over the scored images; None where nothing is scored."""
    import numpy as np

    scored = score_nk[np.isfinite(score_nk)]
    return {
        "mean": _finite(scored.mean()) if scored.size else None,
        "median": _finite(np.median(scored)) if scored.size else None,
        "std": _finite(scored.std(ddof=1)) if scored.size > 1 else None,
        "images": int(scored.size),
        "unscored": int(score_nk.size - scored.size),
    }


def against_base(
    base_nk: Floats, tuned_nk: Floats, *, epsilon: float, resamples: int, confidence: float, seed: int
) -> dict[str, Any] | None:
    """`winrate.compare` as plain numbers; prompts with an unscored image are left out, None when none remains."""
    import numpy as np

    difference = winrate.paired_differences(base_nk, tuned_nk)
    known = difference[np.isfinite(difference)]
    if not known.size:
        return None
    result = winrate.compare(known, epsilon=epsilon, resamples=resamples, confidence=confidence, seed=seed)
    return {
        "prompts": result.prompts,
        "epsilon": result.epsilon,
        "wins": result.wins,
        "ties": result.ties,
        "losses": result.losses,
        **_interval("win_rate", result.win_rate),
        "wilson_low": result.wilson.low,
        "wilson_high": result.wilson.high,
        **_interval("mean_difference", result.mean_difference),
        "median_difference": result.median_difference,
        "p_wilcoxon": result.p_wilcoxon,
    }


def table(metrics: Mapping[str, Any]) -> str:
    """``metrics.json`` as a Markdown table, one row for each scorer and model; † marks scorers that training used."""
    share = f"{metrics['confidence']:.0%}"
    head = [
        "scorer",
        "model",
        "mean",
        "median",
        f"mean difference ({share})",
        f"win rate ({share})",
        "win / tie / loss",
    ]
    rows = [head, ["---"] * 2 + ["---:"] * 5, *(_row(result) for result in metrics["results"])]
    notes = [f"{metrics['prompts']} prompts × {metrics['samples']} samples, same initial noise for every model."]
    if any(result["in_training"] for result in metrics["results"]):
        notes.append("† took part in training or in selecting its data: no independent judge.")
    return "\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in rows) + "\n\n" + "\n".join(notes) + "\n"


def _row(result: Mapping[str, Any]) -> Sequence[str]:
    marked = result["scorer"] + (" †" if result["in_training"] else "")
    row = [marked, result["model"], number(result["mean"]), number(result["median"])]
    versus = result["against_base"]
    if versus is None:
        return [*row, "", "", ""]
    difference = f"{with_interval(versus, 'mean_difference', '+.4f')}"
    counts = f"{versus['wins']} / {versus['ties']} / {versus['losses']}"
    return [*row, difference, with_interval(versus, "win_rate", ".3f"), counts]


def number(value: float | None, form: str = "#.4g") -> str:
    """A figure for a table, or a dash."""
    return "–" if value is None else format(value, form).replace("-", "−")


def with_interval(values: Mapping[str, float], name: str, form: str) -> str:
    """``value (low to high)`` of the three entries `name`, `name_low`, `name_high`."""
    value, low, high = (number(values[name + end], form) for end in ("", "_low", "_high"))
    return f"{value} ({low} to {high})"


def _interval(name: str, interval: winrate.Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _cell(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())
