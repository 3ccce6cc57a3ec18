"""Win rates as dots on lines: by group of prompts, and by what is made of a prompt's samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tastemaker.evaluate.latex import marks
from tastemaker.report.drawing import INK, MUTED, SERIES, figure
from tastemaker.report.page import Figure, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MARKERS = "os^D"
PANELS, LINES, LETTERS = 3, 24, 30
"""Most scorers in a figure, most lines in a panel, and longest name of a line; the numbers have them all."""


@dataclass(frozen=True)
class Dot:
    """A model's win rate by one scorer (``mark``: † or ‡, as in `latex.marks`) on one line, from so many prompts."""

    scorer: str
    line: str
    model: str
    value: float
    low: float
    high: float
    prompts: int
    mark: str = ""


def by_group(metrics: Mapping[str, Any]) -> list[Figure]:
    """A figure for each field of the prompts (such as category): win rates against the base by its values."""
    share, base = f"{metrics['confidence']:.0%}", metrics["models"][0]
    made = []
    for number, field in enumerate(metrics.get("groups") or {}, 1):
        if dots := list(_of_groups(metrics, field)):
            caption = (
                f"Win rate against {base} by {field}, with {share} bootstrap intervals over the prompts of each "
                f"({_sizes(dots)} prompts). With many lines some interval leaves 0.5 by chance."
            )
            made.append(plot(dots, metrics["models"], caption, f"winrates-by-{number}", f"By {field}"))
    return made


def by_mode(metrics: Mapping[str, Any]) -> list[Figure]:
    """Mean, median and best of a prompt's samples beside each other; nothing for a single sample."""
    dots = list(_of_modes(metrics))
    if not dots:
        return []
    caption = (
        f"Win rate against {metrics['models'][0]} when a prompt's {metrics['samples']} samples count by their mean, "
        f"their median or the best of them, with {metrics['confidence']:.0%} bootstrap intervals over prompts."
    )
    title = "By what is made of a prompt's samples"
    return [plot(dots, metrics["models"], caption, "winrates-samples", title, ordered=False)]


def _sizes(dots: Sequence[Dot]) -> str:
    sizes = sorted({dot.prompts for dot in dots})
    return f"{sizes[0]:,} to {sizes[-1]:,}" if len(sizes) > 1 else f"{sizes[0]:,}"


def _of_groups(metrics: Mapping[str, Any], field: str) -> Iterator[Dot]:
    for entry in metrics["results"]:
        for value, found in ((entry.get("by_group") or {}).get(field) or {}).items():
            if found["against_base"]:
                yield _dot(entry, value, found["against_base"])


def _of_modes(metrics: Mapping[str, Any]) -> Iterator[Dot]:
    for entry in metrics["results"]:
        modes = {"mean": entry["against_base"], **(entry.get("by_mode") or {})}
        if len(modes) > 1:
            yield from (_dot(entry, mode, versus) for mode, versus in modes.items() if versus)


def _dot(entry: Mapping[str, Any], line: str, versus: Mapping[str, Any]) -> Dot:
    rate, low, high = (versus[name] for name in ("win_rate", "win_rate_low", "win_rate_high"))
    return Dot(entry["scorer"], line, entry["model"], rate, low, high, versus["prompts"], marks(entry))


def plot(
    dots: Sequence[Dot], models: Sequence[str], caption: str, name: str, title: str, ordered: bool = True
) -> Figure:
    """A panel a scorer, a line for each value (``ordered``: best of the first model on top), a dot for each model.

    ``models`` is everyone, the base too, so that a model looks the same in every figure.
    """
    scorers = list(dict.fromkeys(dot.scorer for dot in dots))
    every = list(dict.fromkeys(dot.line for dot in dots))
    shown = _shown(dots, ordered)
    drawn = {number: model for number, model in enumerate(models) if any(dot.model == model for dot in dots)}

    def draw(canvas: Canvas, wide: bool) -> None:
        panels = scorers[:PANELS]
        grid = (1, len(panels)) if wide else (len(panels), 1)
        all_axes = canvas.subplots(*grid, sharey=True, sharex=not wide, squeeze=False).flat
        for axes, scorer in zip(all_axes, panels, strict=True):
            found = [dot for dot in dots if dot.scorer == scorer]
            _panel(axes, found, shown, drawn)
            mark = max(dot.mark for dot in found)
            axes.set(title=printable(f"{scorer.partition('@')[0]} {mark}".rstrip()), xlabel="win rate")
        handles, labels = canvas.axes[0].get_legend_handles_labels()
        style: dict[str, Any] = {"loc": "outside upper left", "alignment": "left"}
        canvas.legend(handles, labels, ncols=4 if wide else 1, title=title, **style)

    left_out = [f"{len(every) - len(shown)} lines with few prompts"] if len(every) > len(shown) else []
    left_out += [", ".join(scorers[PANELS:])] if len(scorers) > PANELS else []
    caption += f" Not drawn, but in the numbers: {'; '.join(left_out)}." if left_out else ""
    columns = ("scorer", "line", "model", "value", "low", "high", "prompts")
    data = {column: [getattr(dot, column) for dot in dots] for column in columns}
    each = 0.16 + 0.12 * len(drawn)
    heights = 1.1 + each * len(shown), 0.7 + 0.2 * len(drawn) + min(PANELS, len(scorers)) * (0.6 + each * len(shown))
    return figure(name, draw, heights, alt=f"{title}. {caption} {_read(dots)}", caption=caption, data=data)


def _shown(dots: Sequence[Dot], ordered: bool) -> list[str]:
    """The lines that are drawn, from top to bottom."""
    first = [dot for dot in dots if (dot.scorer, dot.model) == (dots[0].scorer, dots[0].model)]
    most = sorted(first, key=lambda dot: -dot.prompts)[:LINES]
    kept = sorted(most, key=lambda dot: -dot.value) if ordered else most
    return [dot.line for dot in kept]


def _panel(axes: Axes, dots: Sequence[Dot], lines: Sequence[str], models: Mapping[int, str]) -> None:
    axes.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (3, 2)))
    for row, (number, model) in enumerate(models.items()):
        of_model = {dot.line: dot for dot in dots if dot.model == model}
        places = [place for place, line in enumerate(lines) if line in of_model]
        found = [of_model[lines[place]] for place in places]
        shift = 0.6 * ((row + 0.5) / len(models) - 0.5)
        draw_intervals(axes, [dot.value for dot in found], [place + shift for place in places], found, number, model)
    labels = [line if len(line) <= LETTERS else line[: LETTERS - 1] + "…" for line in lines]
    axes.set_yticks(range(len(lines)), [printable(label) for label in labels], color=INK)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=5)


def draw_intervals(
    axes: Axes, x: Sequence[float], y: Sequence[float], dots: Sequence[Dot], number: int, label: str
) -> None:
    """Markers at (x, y) with the dots' intervals along x, in the colour and shape of series ``number``."""
    errors = [[dot.value - dot.low for dot in dots], [dot.high - dot.value for dot in dots]]
    style: dict[str, Any] = {
        "color": SERIES[number % len(SERIES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 5,
    }
    axes.errorbar(x, y, xerr=errors, linestyle="none", linewidth=1.5, label=printable(label), **style)


def _read(dots: Sequence[Dot]) -> str:
    said = (f"{dot.scorer}, {dot.line}, {dot.model}: {dot.value:.3f} ({dot.low:.3f} to {dot.high:.3f})" for dot in dots)
    return "; ".join(said)
