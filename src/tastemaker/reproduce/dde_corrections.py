"""DDE's stepwise correction (arXiv 2411.14871): how it converges, and its distribution.

    C(t) = Σ_{k>t} log r_k,   movement = ‖C − C of the checkpoint before‖ / ‖C‖,   added to z = β/2 · κ · net(C)

with net(C) = (C_θ^w − C_r^w) − (C_θ^l − C_r^l) as in `report.credit`. What a run remembers is in each checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import write_json
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.choosing import checkpoints
from tastemaker.reproduce.dde_figures import entries_of
from tastemaker.reproduce.exhibit import OfArms
from tastemaker.reproduce.output import picture, save
from tastemaker.reproduce.results import MOST_SEEDS, Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tastemaker.report.credit import Entry

MEMORY = "memory.safetensors"
BINS = 30
ABOUT = (
    "Means over seeds, in brackets their range. Before the first checkpoint there is no correction to have moved from. "
    "The curves of the record are of one seed each, named there; convergence and distribution are of every seed."
)


@dataclass(frozen=True)
class Corrections(OfArms):
    """How the stepwise record moves while a run learns, and what it is at the end (`exhibit.Exhibit`)."""

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """Every arm's runs."""
        yield from (shop.trained(arm, seed) for seed in seeds for arm in self.arms)

    def write(self, results: Results, folder: Path) -> str:
        """The record of the first seed, convergence of all, movement between checkpoints, and the distribution."""
        entries = {label: entries_of(results, label, arm) for label, arm in self.named.items()}
        found = [entry for some in entries.values() for entry in some]
        if not found:
            return ""
        from tastemaker.report import credit_figures as figures

        first = [some[0] for some in entries.values() if some]
        drawn = [figures.correction(entry, entry.recorded) for entry in first if entry.recorded is not None]
        pictures = [picture(figure, folder, self.key) for figure in [*drawn, figures.convergence(found)]]
        moved = {label: moves(results.shop, arm) for label, arm in self.named.items()}
        ends = {entry.name: ends_of(entry) for entry in found}
        write_json(folder / f"{self.key}.json", {"moves": moved, "at the end": ends})
        draw_ends(ends, folder / f"{self.key}-distribution.png")
        pictures.append(f"![Distribution of the correction over the steps]({self.key}-distribution.png)\n")
        return "\n".join(
            [f"### {self.title}", "", *pictures, *_moves_said(moved), "", ABOUT, "", *_ends_said(ends), ""]
        )


def moves(shop: Shop, arm: Arm) -> dict[str, list[float]]:
    """Step of each checkpoint → by seed ‖C − C_before‖ / ‖C‖ of the winners' correction under the policy.

    Nothing at the first checkpoint: there was no correction before, so its movement would be 1 by definition.
    """
    found: dict[str, list[float]] = {}
    for seed in range(MOST_SEEDS):
        if (shop.place(arm, seed) / "run" / "summary.json").exists():
            for step, distance in _moves(shop.place(arm, seed) / "run"):
                found.setdefault(str(step), []).extend(distance)
    return found


def _moves(run: Path) -> Iterator[tuple[int, list[float]]]:
    import numpy as np

    from tastemaker.report.credit import corrections, read_memory

    before: Any = None
    for step, place in checkpoints(run):
        record = read_memory(place / MEMORY).log_ratio
        assert record is not None, f"{run} has a record"
        now = corrections(record)[0, 0]
        yield step, [] if before is None else [float(np.linalg.norm(now - before) / np.linalg.norm(now))]
        before = now


def ends_of(entry: Entry) -> dict[str, list[float]]:
    """At the end of a run, a number a step: the winners' correction C(t), and what all four add to β m / 2."""
    from tastemaker.report.credit import corrections, net

    assert entry.recorded is not None
    assert entry.recorded.log_ratio is not None
    after = corrections(entry.recorded.log_ratio)
    setting, beta = entry.method.credit.stepwise, getattr(entry.method.link, "beta", 2.0)
    kappa = 1.0 if setting is None else setting.scale
    return {"correction": after[0, 0].tolist(), "added to z": (beta / 2 * kappa * net(after)).tolist()}


def draw_ends(ends: dict[str, dict[str, list[float]]], path: Path) -> None:
    """A histogram over the steps of each run's correction, and of what it adds to the link's argument."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(9, 3.2), layout="constrained", dpi=110)
    for axes, what in zip(canvas.subplots(1, 2), ("correction", "added to z"), strict=True):
        _histogram(axes, {name: values[what] for name, values in ends.items()})
        axes.set(title={"correction": "C(t), winners, policy", "added to z": "added to z = β m / 2"}[what])
        axes.set(ylabel="steps")
    axes.legend(fontsize=7)
    save(canvas, path)


def _histogram(axes: Axes, values: dict[str, list[float]]) -> None:
    import numpy as np

    edges = np.histogram_bin_edges(np.concatenate(list(values.values())), BINS)
    for name, some in values.items():
        axes.hist(some, bins=edges.tolist(), histtype="step", label=name)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(alpha=0.3)


def _moves_said(moved: dict[str, dict[str, list[float]]]) -> list[str]:
    """A table of how far the correction moves from checkpoint to checkpoint, mean and range over seeds."""
    steps = sorted({int(step) for found in moved.values() for step in found})
    rows = [["‖C − C of the checkpoint before‖ / ‖C‖", "seeds", *(f"step {step}" for step in steps)]]
    for label, found in moved.items():
        seeds = max((len(values) for values in found.values()), default=0)
        cells = [_mean(found.get(str(step), [])) for step in steps]
        rows.append([label, str(seeds), *cells])
    return rows_of(rows)


def _ends_said(ends: dict[str, dict[str, list[float]]]) -> list[str]:
    import numpy as np

    rows = [["at the end of the run", "C(0)", "median of C(t)", "most added to z", "median"]]
    for name, values in ends.items():
        added = np.abs(values["added to z"])
        middle = float(np.median(values["correction"]))
        rows.append([name, f"{values['correction'][0]:.4g}", f"{middle:.4g}", f"{added.max():.4g}"])
        rows[-1].append(f"{np.median(added):.4g}")
    return rows_of(rows)


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "–"
    spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{sum(values) / len(values):.3f}{spread}"
