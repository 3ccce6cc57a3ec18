"""Diversity and drift against score: a model that pleases a scorer and draws the same picture again shows here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tastemaker.report.dots import MARKERS
from tastemaker.report.drawing import MUTED, SERIES, figure
from tastemaker.report.page import Figure, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

Limits = Mapping[str, float]
"""``value``, ``low`` and ``high``."""
NOTHING = {"value": 0.0, "low": 0.0, "high": 0.0}


@dataclass(frozen=True)
class Panel:
    """What stands upwards, by which distance, and of which models it is known."""

    figure: str
    by: str
    models: Mapping[str, Limits]

    @property
    def title(self) -> str:
        """Such as "diversity (pixels)"."""
        return f"{self.figure} ({self.by})"


def panels(metrics: Mapping[str, Any]) -> list[Panel]:
    """Diversity and drift by pixels and, where asked for, by embeddings; only what is known of a model."""
    embedding = metrics.get("embedding") or {}
    sources = [("pixels", metrics)] + ([(embedding["scorer"].partition("@")[0], embedding)] if embedding else [])
    found = [
        Panel(name, by, {model: limits for model, limits in (source.get(name) or {}).items() if limits})
        for by, source in sources
        for name in ("diversity", "drift")
    ]
    return [panel for panel in found if panel.models]


def gains(metrics: Mapping[str, Any], scorer: str) -> dict[str, Limits]:
    """Mean difference of each model to the base by ``scorer`` with its interval; the base itself is at 0."""
    found: dict[str, Limits] = {metrics["models"][0]: NOTHING}
    for entry in metrics["results"]:
        if entry["scorer"] == scorer and (versus := entry["against_base"]):
            ends = {"value": "mean_difference", "low": "mean_difference_low", "high": "mean_difference_high"}
            found[entry["model"]] = {end: versus[name] for end, name in ends.items()}
    return found


def suspects(metrics: Mapping[str, Any], scorer: str) -> list[str]:
    """Models whose score rose and whose diversity fell, each interval wholly beyond the base's."""
    risen = [model for model, gain in gains(metrics, scorer).items() if gain["low"] > 0]
    fallen = set()
    for panel in panels(metrics):
        base = panel.models.get(metrics["models"][0])
        if panel.figure == "diversity" and base:
            fallen |= {model for model, limits in panel.models.items() if limits["high"] < base["low"]}
    return [model for model in risen if model in fallen]


def plot(metrics: Mapping[str, Any]) -> list[Figure]:
    """One figure, a panel for each measure, against the score that training is likeliest to have hacked.

    That is the first scorer that took part in training, or else the first; the numbers hold all scorers.
    """
    shown = panels(metrics)
    if not shown or len(metrics["models"]) < 2:
        return []
    scorer = next((entry["scorer"] for entry in metrics["results"] if entry["in_training"]), metrics["scorers"][0])
    across = gains(metrics, scorer)

    def draw(canvas: Canvas, wide: bool) -> None:
        rows, columns = ((len(shown) + 1) // 2, min(2, len(shown))) if wide else (len(shown), 1)
        for place, panel in enumerate(shown, 1):
            _panel(canvas.add_subplot(rows, columns, place), panel, across, metrics["models"], scorer)
        handles = {label: handle for axes in canvas.axes for handle, label in zip(*_legend(axes), strict=True)}
        canvas.legend(handles.values(), handles, loc="outside upper left", ncols=3 if wide else 1)

    rows, legend = (len(shown) + 1) // 2, 0.22 * len(metrics["models"])
    heights = 0.4 + legend / 3 + 2.6 * rows, 0.3 + legend + 2.6 * len(shown)
    caption, data = _caption(metrics, scorer, shown), _data(metrics, shown)
    return [figure("hacking", draw, heights, alt=f"Scatter plots. {caption}", caption=caption, data=data)]


def _panel(axes: Axes, panel: Panel, across: Mapping[str, Limits], models: Sequence[str], scorer: str) -> None:
    for number, model in enumerate(models):
        if model in panel.models and model in across:
            x, y = across[model], panel.models[model]
            style: dict[str, Any] = {
                "color": SERIES[number % len(SERIES)],
                "marker": MARKERS[number % len(MARKERS)],
                "markersize": 6,
            }
            bars: dict[str, Any] = {"xerr": _error(x), "yerr": _error(y), "linestyle": "none", "linewidth": 1.3}
            axes.errorbar([x["value"]], [y["value"]], label=printable(model), **bars, **style)
    line: dict[str, Any] = {"color": MUTED, "linewidth": 1, "linestyle": (0, (3, 2))}
    axes.axvline(0, **line)
    if panel.figure == "diversity" and models[0] in panel.models:
        axes.axhline(panel.models[models[0]]["value"], **line)
    axes.set(title=panel.title, xlabel=f"mean difference by {printable(scorer.partition('@')[0])}")
    axes.margins(0.12)
    axes.locator_params(nbins=5)


def _error(limits: Limits) -> list[list[float]]:
    return [[limits["value"] - limits["low"]], [limits["high"] - limits["value"]]]


def _legend(axes: Axes) -> tuple[list[Any], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    return handles, labels


def _caption(metrics: Mapping[str, Any], scorer: str, shown: Sequence[Panel]) -> str:
    kinds = {panel.figure for panel in shown}
    said = [f"Right of the dashed line the score by {scorer} is higher than the base's."]
    if "diversity" in kinds:
        said.append("Below the dashed line a model's images of one prompt are more alike than the base's.")
    if "drift" in kinds:
        said.append("Drift is the mean distance to the base's image of the same prompt and noise.")
    if found := suspects(metrics, scorer):
        said.append(
            f"Score up and diversity down, interval from interval: {', '.join(found)}. It may be reward hacking."
        )
    elif "diversity" in kinds:
        said.append("No model has both its score above and its diversity below the base's, interval from interval.")
    return " ".join([*said, f"Bars are {metrics['confidence']:.0%} bootstrap intervals over prompts."])


def _data(metrics: Mapping[str, Any], shown: Sequence[Panel]) -> dict[str, list[Any]]:
    columns = ("figure", "by", "model", "value", "low", "high", "scorer", "gain", "gain_low", "gain_high")
    rows = [
        (panel.figure, panel.by, model, *_three(limits), scorer, *_three(gain))
        for panel in shown
        for scorer in metrics["scorers"]
        for model, limits in panel.models.items()
        if (gain := gains(metrics, scorer).get(model))
    ]
    return {column: [row[number] for row in rows] for number, column in enumerate(columns)}


def _three(limits: Limits) -> tuple[float, float, float]:
    return limits["value"], limits["low"], limits["high"]
