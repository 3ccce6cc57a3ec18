"""D3PO's peak memory of a step against the number of denoising steps (arXiv 2311.13231)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tastemaker.base.files import read_json, write_json
from tastemaker.reproduce import d3po_runs
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.d3po_peaks import CHAIN, ONE
from tastemaker.reproduce.exhibit import Paper
from tastemaker.reproduce.output import save
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import rows_of

MEGA = 1e6
FLAT, PROPORTIONAL = 0.01, 0.8
"""By which share of itself a flat peak may vary, and what share of the steps' growth a growing one must reach."""


@dataclass(frozen=True)
class Memory:
    """What autograd keeps against the number of denoising steps (`exhibit.Exhibit`); it has no seeds."""

    key: str = "memory"
    paper: Paper = "d3po"
    title: str = "D3PO: peak memory of a training step against denoising steps"
    arms: tuple[Arm, ...] = ()

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:  # noqa: ARG002
        """One measurement."""
        yield d3po_runs.memory(shop)

    def write(self, results: Results, folder: Path) -> str:
        """`memory.png`, its numbers in `memory.json`, and whether the peak grows."""
        stage = d3po_runs.memory(results.shop)
        if not stage.done:
            return ""
        found = read_json(stage.out)
        write_json(folder / f"{self.key}.json", {"title": self.title, **found})
        _draw_memory(found, folder / f"{self.key}.png")
        head = ["MB that autograd keeps at most, by denoising steps", *map(str, found["steps"])]
        rows = [[name, *map(_megabytes, peaks)] for name, peaks in found["peaks"].items()]
        said = f"One pair, LoRA of rank {found['rank']}, on {found['device']}. {grows(found)}"
        picture = f"![{self.title}]({self.key}.png)"
        return "\n".join([f"### {self.title}", "", picture, "", *rows_of([head, *rows]), "", said, ""])


def grows(found: Mapping[str, Any]) -> str:
    """What the peaks say of the paper's claim, that the gradients of the whole chain need not be kept."""
    steps, one, chain = found["steps"], found["peaks"][ONE], found["peaks"][CHAIN]
    fits = [count for count, peak in zip(steps, chain, strict=True) if peak is not None]
    if None in one or len(fits) < 2:
        return "Too little of it fits this device, so nothing is said of the paper's claim."
    more, longer = chain[len(fits) - 1] / chain[0], fits[-1] / fits[0]
    holds = max(one) <= (1 + FLAT) * min(one) and more >= PROPORTIONAL * longer
    return (
        "The paper avoids keeping the gradients of the whole chain; our source of it prints no megabytes. That a "
        "step's peak does not depend on the number of steps, while the chain's grows with it, "
        f"{'holds' if holds else 'does not hold'} here (within {FLAT:.0%}, and by {PROPORTIONAL:g} times the steps' "
        f"growth at least): one step at once it is {_range(one)} MB; through the chain it grows {more:.1f} times from "
        f"{fits[0]} to {fits[-1]} steps, {longer:g} times as many."
    )


def _draw_memory(found: Mapping[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(6, 3.4), layout="constrained", dpi=110)
    axes = canvas.subplots()
    for name, peaks in found["peaks"].items():
        shown = [math.nan if peak is None else peak / MEGA for peak in peaks]
        axes.plot(found["steps"], shown, marker="o", label=name)
    axes.set(xlabel="denoising steps", ylabel="peak kept by autograd, MB", xscale="log", yscale="log")
    axes.set_xticks(found["steps"], labels=map(str, found["steps"]))
    axes.set_xticks([], minor=True)
    axes.grid(alpha=0.3)
    axes.legend()
    save(canvas, path)


def _megabytes(peak: int | None) -> str:
    if peak is None:
        return "does not fit"
    return f"{peak / MEGA:,.0f}" if peak >= 100 * MEGA else f"{peak / MEGA:.3g}"


def _range(peaks: Sequence[int]) -> str:
    low, high = _megabytes(min(peaks)), _megabytes(max(peaks))
    return low if low == high else f"{low} to {high}"
