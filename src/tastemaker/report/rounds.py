"""What an online run (D3PO, arXiv:2311.13231) did round after round: rewards of fresh samples, ratios, steps, images.

Legend: round r from 0; P prompts of a round with K images each; an image's net wins are wins − losses.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tastemaker.base.errors import UserError
from tastemaker.report import curves, gallery, inputs
from tastemaker.report.curves import Quantities
from tastemaker.report.drawing import ACCENT, MUTED, figure
from tastemaker.report.inputs import AGAIN, Mean, Online
from tastemaker.report.page import Figure, Gallery, Picture, Section, Strip, Text, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from PIL.Image import Image

    from tastemaker.method.method import Method
    from tastemaker.rollout.choices import Choice

T = TypeVar("T")
SHOWN, ACROSS = 6, 8
"""Rounds in the gallery, and images of each."""
COLLAPSE = 1 / 3
"""A loss of diversity that is called a possible collapse."""
QUANTITIES = (
    Quantities("margin", {"margin": "margin"}, 0.0),
    Quantities("share of pairs with margin above 0", {"accuracy": "accuracy"}, 0.5),
    Quantities(
        "share of log-ratios that are cut", {"clipped": "at all", "clipped_wrong": "on the wrong side"}, floor=0.0
    ),
    Quantities("mean log-ratio", {"ratio_winner": "winner", "ratio_loser": "loser"}, 0.0),
)


def learning(run: Path) -> Section:
    """Text, curves and pictures of an online run. Raises `UserError` naming a missing or damaged file."""
    online = inputs.read_online(run)
    figures = (rewards(online), *ratios(online), *steps(online))
    title = f"Learning from fresh samples: {online.name}"
    return Section(title, (Text(tuple(says(online))), *figures, pictures(online)))


def says(online: Online) -> list[str]:
    """The run in a few sentences."""
    return [_say_rewards(online), f"{_say_diversity(online)} {_say_ties(online)}", *_say_clip(online.recipe.method)]


def _say_rewards(online: Online) -> str:
    from tastemaker.evaluate.metrics import number

    count, prompts, images = len(online.rounds), online.recipe.rounds.prompts, online.recipe.rollout.images
    made = (
        f"{count} round{'s' * (count > 1)} of {prompts} prompts with {images} images each, drawn by the model as it "
        f"then was: {count * prompts * images:,} images in all."
    )
    if not online.rewards:
        return f"{made} No scorer rated them."
    ends = [(scorer, [*means[:1], *means[1:][-1:]]) for scorer, means in online.rewards.items()]
    said = [f"{scorer} {' → '.join(number(mean.value) for mean in means)}" for scorer, means in ends]
    return f"{made} Mean reward{' of the first and the last round' * (count > 1)}: {', '.join(said)}."


def _say_diversity(online: Online) -> str:
    from tastemaker.evaluate.metrics import number

    first, last = (online.rounds[at]["diversity"] for at in (0, -1))
    what = "Diversity, the mean difference (root mean square of pixels) between two images of a prompt,"
    if first == last or not first:
        return f"{what} is {number(last)}."
    fall = 1 - last / first
    moved = f"{what} {'fell' if fall > 0 else 'rose'} by {abs(fall):.1%}, from {number(first)} to {number(last)}."
    return moved + (
        " That is more than a third and may be a collapse: see whether the last images still differ."
        if fall > COLLAPSE
        else ""
    )


def _say_ties(online: Online) -> str:
    compared = sum(line["comparisons"] for line in online.rounds)
    ties = sum(line["comparisons"] * line["ties"] for line in online.rounds)
    return f"Of {compared:,.0f} comparisons {ties / compared if compared else 0:.1%} were ties."


def _say_clip(method: Method) -> list[str]:
    if method.credit.clip is None:
        return []
    start, reach = clip_reach(method)
    named = "ln 2" if math.isclose(start, math.log(2)) else f"{start:.4g}"
    return [
        f"The ratio clip (ε = {method.credit.clip.epsilon:g}) keeps the loss within "
        f"{math.ceil(1000 * reach) / 1000:.1%} of {named}, its value at margin 0, however much is learned: look at the "
        "margin instead."
    ]


def clip_reach(method: Method) -> tuple[float, float]:
    """The loss at margin 0, and by which share of it the clip lets it rise or fall, at weight 1 (the mean of ω)."""
    import torch

    from tastemaker.method.evidence import Evidence

    assert method.credit.clip is not None
    low, high = method.credit.clip.bounds
    winner, loser = (torch.tensor(ends, dtype=torch.float64) for ends in ((0.0, low, high), (0.0, high, low)))
    loss = method.link(Evidence((-winner, -loser), (torch.zeros(3), torch.zeros(3))))
    return float(loss[0]), float((loss / loss[0] - 1).abs().max())


def rewards(online: Online) -> Figure:
    """Mean reward of each round's images with its interval, a panel a scorer, and the diversity."""
    images = online.images_before
    panels = [*online.rewards.items(), ("diversity", [Mean(line["diversity"], math.nan) for line in online.rounds])]

    def draw(canvas: Canvas, wide: bool) -> None:
        grid = curves.grid(canvas, len(panels), wide, "images sampled before")
        for axes, (title, means) in zip(grid, panels, strict=True):
            values, halves = [mean.value for mean in means], [mean.half for mean in means]
            axes.errorbar(images, values, halves, fmt="o-", color=ACCENT, markersize=4, elinewidth=1.2)
            axes.set_title(printable(title))
            axes.locator_params(axis="x", nbins=5, integer=True)
        axes.set_ylim(bottom=0)  # of the diversity: a small fall must not look like a collapse

    caption = (
        "Fresh images of each round against all that were sampled before it: at 0 the model has learned nothing yet. "
        "Bars are 95 % intervals of the mean over prompts; each round has prompts of its own."
    )
    alt = f"Points with error bars: {', '.join(title for title, _ in panels)} of each round."
    data: dict[str, list[Any]] = {"round": [int(line["round"]) for line in online.rounds], "images": images}
    data |= {name: list(column) for title, means in panels for name, column in _columns(title, means).items()}
    name = _file("rounds", online)
    return figure(name, draw, curves.heights(len(panels)), alt=printable(alt), caption=caption, data=data)


def _columns(title: str, means: Sequence[Mean]) -> dict[str, list[float]]:
    found = {title: [mean.value for mean in means]}
    if all(math.isnan(mean.half) for mean in means):
        return found
    low, high = ([mean.value + sign * mean.half for mean in means] for sign in (-1, 1))
    return found | {f"{title} low": low, f"{title} high": high}


def _file(kind: str, online: Online) -> str:
    from tastemaker.score.scores import slug

    return f"{kind}-{slug(online.name)}"


def ratios(online: Online) -> tuple[Figure, ...]:
    """Margins and log-ratios against pairs seen; nothing before the first step is logged."""
    panels = [panel for panel in QUANTITIES if panel.lines.keys() & online.columns.keys()]
    if not panels:
        return ()
    caption = (
        "Running means against pairs seen, each logged value thin behind. Log-ratios of policy and reference are taken "
        "before the clip; cut on the wrong side are winners that fell below it and losers that rose above it, which "
        "nothing pulls back."
    )
    alt = f"Line plots against pairs seen: {', '.join(panel.title for panel in panels)}."
    return (curves.quantities(_file("clip", online), online.columns, panels, alt=alt, caption=caption),)


def steps(online: Online) -> tuple[Figure, ...]:
    """Margin by denoising step, of those that were visited; nothing where none was recorded."""
    trace = inputs.read_trace(online.folder / "memory.safetensors")
    if trace is None or not trace[0].any():
        return ()
    pairs, margin = trace[0].sum(0), trace[1].sum(0)
    t = pairs.nonzero()[0]
    panels = {"mean margin": margin[t] / pairs[t], "share of margins above 0": trace[0, 1, t] / pairs[t]}

    def draw(canvas: Canvas, wide: bool) -> None:
        grid = curves.grid(canvas, len(panels), wide, "step t")
        for axes, (title, values), level in zip(grid, panels.items(), (0.0, 0.5), strict=True):
            axes.axhline(level, color=MUTED, linewidth=1, linestyle=":")
            axes.plot(t, values, "o-", color=ACCENT, markersize=4)
            axes.set_title(title)

    caption = (
        "By denoising step, over all pairs of the run; t is 0 nearly clean, and only visited steps are shown. "
        f"{pairs.sum():,.0f} steps of pairs in all; a margin of exactly 0, as before the first update, is not above 0."
    )
    data = {"t": t.tolist(), "pairs": pairs[t].tolist()} | {name: values.tolist() for name, values in panels.items()}
    return (
        figure(_file("steps", online), draw, curves.heights(2), alt=f"Curves. {caption}", caption=caption, data=data),
    )


def pictures(online: Online) -> Gallery:
    """The images of some rounds' most decided prompt, best first."""
    numbers = [int(line["round"]) for line in online.rounds]
    strips = [strip(online.folder, number) for number in evenly(numbers, SHOWN)]
    caption = (
        "Of each round shown, counted from 0, the prompt with most decided comparisons. Under each image stand its "
        "wins minus its losses, best first; best and worst are framed."
    )
    return Gallery(f"Samples of {online.name}, round by round", tuple(strips), caption)


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` (2 or more) of ``items``, evenly spaced, the first and last among them."""
    last = len(items) - 1
    return list(items) if last < most else [items[round(at * last / (most - 1))] for at in range(most)]


def strip(run: Path, number: int) -> Strip:
    """At most `ACROSS` images of the most decided prompt of round ``number``. Raises as `learning` does."""
    from tastemaker.rollout.rounds import path_of, read_choices
    from tastemaker.rollout.stream import net_wins

    folder = path_of(run, number)
    choices = read_choices(folder)
    prompt = most_decided(choices)
    text, shas = inputs.read_samples(folder, prompt)
    net = net_wins(choices).get(prompt, Counter())
    order = evenly(sorted(shas, key=lambda sample: (-net[sample], sample)), ACROSS)
    images = _images(folder, [shas[sample] for sample in order])
    high, low = net[order[0]], net[order[-1]]
    shown = [
        _picture(images[shas[sample]], f"Sample {sample} of round {number} for: {text}", net[sample], low, high)
        for sample in order
    ]
    return Strip(gallery.shorten(f"round {number}: {text}", gallery.SHOWN), tuple(shown))


def _picture(image: Image, alt: str, net: int, low: int, high: int) -> Picture:
    mark = "" if low == high else {high: "good", low: "bad"}.get(net, "")
    label = f"{net:+d}" if net else "0"
    return gallery.picture(image, alt=gallery.shorten(alt, gallery.SPOKEN), label=label, mark=mark)


def most_decided(choices: Sequence[Choice]) -> int:
    """The prompt with most choices that are no ties, the first of equals; prompt 0 where nothing was decided."""
    decided = Counter(choice.prompt for choice in choices if choice.label != "tie")
    return min(decided, key=lambda prompt: (-decided[prompt], prompt), default=0)


def _images(folder: Path, shas: Sequence[str]) -> dict[str, Image]:
    from tastemaker.data.images import ImageProblem, decode
    from tastemaker.data.store import IMAGES, ImageStore

    try:
        return {sha: decode(data) for sha, data in ImageStore(folder).read_many(shas)}
    except ImageProblem as problem:
        raise UserError(f"{folder / IMAGES}: an image is damaged ({problem.detail}); {AGAIN}") from None
