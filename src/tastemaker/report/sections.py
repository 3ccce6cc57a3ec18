"""What each input of a report has to say, as a section."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tastemaker.report import curves, dots, gallery, hacking, plots
from tastemaker.report.page import Facts, Section, Table, Text, Tile, Tiles

if TYPE_CHECKING:
    from tastemaker.report.gallery import Drawn

RANDOM, EXTREME = 12, 4
"""Prompts drawn at random, and those with the largest gains and losses."""
TILES = 4


def result(metrics: Mapping[str, Any]) -> Section:
    """Win rates and means against the base: key figures of the first tuned model, forest plot and table of all.

    Where the evaluation has them also by what is made of several samples, by group, and diversity and drift.
    """
    against = [entry for entry in metrics["results"] if entry["against_base"]]
    if not against:
        return Section("Result", (_table(metrics),))
    forest = plots.forest(
        [_estimate(entry) for entry in against],
        reference=0.5,
        xlabel="win rate against the base",
        caption=(
            f"Share of {metrics['prompts']} prompts on which the model beats {metrics['models'][0]} "
            f"from the same noise, ties counted ½, with {metrics['confidence']:.0%} bootstrap intervals over prompts. "
            "Right of the dashed line is better than the base."
        ),
    )
    first = [entry for entry in against if entry["model"] == against[0]["model"]]
    base = {entry["scorer"]: entry["mean"] for entry in metrics["results"] if entry["model"] == metrics["models"][0]}
    tiles = Tiles(tuple(_tile(entry, base[entry["scorer"]], metrics) for entry in first[:TILES]))
    more = (*dots.by_mode(metrics), *dots.by_group(metrics), *hacking.plot(metrics))
    return Section("Result", (tiles, forest, _table(metrics), *more))


def _estimate(entry: Mapping[str, Any]) -> plots.Estimate:
    versus = entry["against_base"]
    values = (versus[name] for name in ("win_rate", "win_rate_low", "win_rate_high"))
    return plots.Estimate(_scorer(entry), entry["model"], *values)


def _tile(entry: Mapping[str, Any], before: float, metrics: Mapping[str, Any]) -> Tile:
    from tastemaker.evaluate.metrics import number

    versus = entry["against_base"]
    note = (
        f"{metrics['confidence']:.0%} interval {versus['win_rate_low']:.1%} to {versus['win_rate_high']:.1%}. "
        f"Mean {number(before)} → {number(entry['mean'])}."
    )
    return Tile(f"{_scorer(entry)}: {entry['model']} beats {metrics['models'][0]}", f"{versus['win_rate']:.1%}", note)


def _table(metrics: Mapping[str, Any]) -> Table:
    from tastemaker.evaluate.metrics import number, with_interval

    head = ("scorer", "model", "mean", "median", "mean difference", "win rate", "win / tie / loss")
    rows = []
    for entry in metrics["results"]:
        versus = entry["against_base"]
        more = ("–", "–", "–")
        if versus:
            counts = f"{versus['wins']} / {versus['ties']} / {versus['losses']}"
            difference = with_interval(versus, "mean_difference", "+.4f")
            more = (difference, with_interval(versus, "win_rate", ".3f"), counts)
        rows.append((_scorer(entry), entry["model"], number(entry["mean"]), number(entry["median"]), *more))
    ties = ", ".join(f"{scorer} {epsilon:g}" for scorer, epsilon in metrics["epsilon"].items())
    caption = f"{metrics['confidence']:.0%} intervals in brackets. Differences up to ε are ties: {ties}."
    if metrics["trained_with"]:
        caption += " † took part in training or in selecting its data, so it is no independent judge."
    return Table(head, tuple(rows), numbers=2, caption=caption)


def _scorer(entry: Mapping[str, Any]) -> str:
    return entry["scorer"].partition("@")[0] + (" †" if entry["in_training"] else "")


def before_after(drawn: Sequence[Drawn], prompts: int) -> Section:
    """The same prompts and noise by every model (base first); given scores, also the largest gains and losses."""
    from tastemaker.report.inputs import differences

    title = f"{RANDOM} random prompts" if prompts > RANDOM else "All prompts"
    says = "The same prompt and the same initial noise for every model."
    if prompts > RANDOM:
        says += " Drawn at random, none picked by hand."
    parts = [gallery.models(title, drawn, gallery.some(prompts, RANDOM), says)]
    if len(drawn) > 1 and drawn[0].scores:
        scorer = next(iter(drawn[0].scores))[2]
        gains = differences(drawn[0], drawn[1], scorer)
        order = sorted(gains, key=lambda index: -gains[index])
        count = min(EXTREME, len(order) // 2)
        by = f"By {scorer.partition('@')[0]}, first sample of each prompt."
        parts.append(gallery.models(f"Largest gains of {drawn[1].name}", drawn, order[:count], by))
        parts.append(gallery.models(f"Largest losses of {drawn[1].name}", drawn, order[::-1][:count], by))
    return Section("Before and after", tuple(parts))


def training(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> Section:
    """Curves of every run; a line of text where only the beginning of a round was logged."""
    if not curves.shown(runs):
        return Section("Training", (Text(("No step of the training is logged yet.",)),))
    return Section("Training", (curves.training(runs),))


def settings(documents: Mapping[str, Mapping[str, Any]], recipes: Mapping[str, str], note: str) -> Section:
    """Every input's settings (title → fields) and every run's recipe, folded."""
    facts = [
        Facts(title, {name: _value(value) for name, value in fields.items()}) for title, fields in documents.items()
    ]
    facts += [Facts(f"Recipe of {run}", text=text) for run, text in recipes.items()]
    return Section("Settings and versions", (Text((note,)), *facts))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(item)}" for name, item in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or "–"
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value)
