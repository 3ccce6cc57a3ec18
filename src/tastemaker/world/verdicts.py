"""What the contest says: paired differences with intervals that hold both prompts and seeds.

    d_sn = utility of one entrant − another's, seed s of S, prompt n of N, same prompt and same initial noise
    d̄ ± t_{S−1} √(s_S² / S + s_N² / N)

s_S² is the variance of the seeds' means, s_N² that of the prompts' means: the two crossed sources of chance. Each holds
a little of the residual's variance too, so the interval is on the wide side. It needs two seeds at least.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, read_json, write_text
from tastemaker.evaluate.winrate import Interval, outcomes
from tastemaker.world.contest import BASE, TUNED, UTILITY
from tastemaker.world.entrants import BY_NAME, ENTRANTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

TABLE, PICTURE, UTILITIES = "table.md", "contest.png", "utilities.parquet"
EPSILON = 0.02
"""Largest difference of utility that is a tie."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the papers that the contest can test: ``better`` should lie above ``worse``."""

    says: str
    better: str
    worse: str


CLAIMS = (
    Claim("QSD: the best pairs beat all pairs", "qsd", "uniform"),
    Claim("QSD's control: the best pairs beat a random subset as large", "qsd", "random-30"),
    Claim("all pairs beat nothing", "uniform", BASE),
    Claim("QSD with SLiC beats SLiC", "qsd-slic", "slic"),
    Claim("QSD with ORPO beats ORPO", "qsd-orpo", "orpo"),
    Claim("Uniform beats SFT", "uniform", "sft"),
    Claim("DDE is at least Uniform", "dde", "uniform"),
    Claim("DDE-single is at least DDE", "dde-single", "dde"),
    Claim("DDE-step falls below the base", BASE, "dde-step"),
    Claim("DDE beats Discounted", "dde", "discounted"),
    Claim("the middle (200–700) is at least Uniform", "range-200-700", "uniform"),
    Claim("t/T in 0–0.1 improves on the base", "slice-0.0-0.1", BASE),
    Claim("t/T in 0.3–0.4 improves on the base", "slice-0.3-0.4", BASE),
    Claim("t/T in 0.9–1 falls below the base", BASE, "slice-0.9-1.0"),
    Claim("SFT beats nothing", "sft", BASE),
)


def tell(out: Path) -> None:
    """Write ``table.md``, ``contest.png`` and ``utilities.parquet`` into ``out``."""
    results = Results(out)
    write_text(out / TABLE, markdown(results, read_json(out / TUNED)))
    picture(results, out / PICTURE)
    write_utilities(results, out / UTILITIES)


class Results:
    """The utilities of a contest: entrant → seed → [prompts]. The base has one drawing, which stands for every seed."""

    def __init__(self, out: Path) -> None:
        self.found = {name: _read(out, name) for name in BY_NAME}
        self.found = {name: seeds for name, seeds in self.found.items() if seeds}
        if not self.found:
            raise UserError(f"{out}: no finished run of the contest; make some with: tastemaker world contest")
        self.base = read_json(out / BASE / UTILITY)

    def stack(self, name: str, seeds: Sequence[int], measure: str = "utility") -> Floats:
        """[S, N] of an entrant or the base."""
        import numpy as np

        rows = [self.base if name == BASE else self.found[name][seed] for seed in seeds]
        return np.array([row[measure] for row in rows], np.float64)

    def seeds(self, *names: str) -> list[int]:
        """The seeds that all these entrants have finished."""
        runs = [set(self.found.get(name, {})) for name in names if name != BASE]
        return sorted(set.intersection(*runs)) if runs else []

    def difference(self, better: str, worse: str) -> Floats:
        """Utility of one minus the other's, [S, N], over the seeds that both have."""
        seeds = self.seeds(better, worse)
        difference: Floats = self.stack(better, seeds) - self.stack(worse, seeds)
        return difference


def _read(out: Path, name: str) -> dict[int, Any]:
    files = sorted(out.glob(f"seed-*/{name}/{UTILITY}"))
    return {int(file.parent.parent.name.removeprefix("seed-")): read_json(file) for file in files}


def crossed(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of [S, N] with the interval of the head of this file; infinite for one seed."""
    import numpy as np
    from scipy import stats

    d = np.asarray(values, np.float64)
    seeds, prompts = d.shape
    mean = float(d.mean())
    if seeds < 2:
        return Interval(mean, -math.inf, math.inf)
    error = math.sqrt(d.mean(1).var(ddof=1) / seeds + d.mean(0).var(ddof=1) / prompts)
    half = float(stats.t.ppf((1 + confidence) / 2, seeds - 1)) * error
    return Interval(mean, mean - half, mean + half)


def reading(interval: Interval) -> str:
    """What a difference says of "better lies above worse"."""
    if interval.low > 0:
        return "holds"
    return "does not hold: the other way round" if interval.high < 0 else "not distinguishable"


def standings(results: Results) -> list[dict[str, Any]]:
    """A row an entrant, in the order of the table: utility, correct, win rate and difference against the base."""
    rows = []
    for entrant in ENTRANTS:
        if seeds := results.seeds(entrant.name):
            against = results.difference(entrant.name, BASE)
            rows.append(
                {
                    "name": entrant.name,
                    "says": entrant.says,
                    "pairs": entrant.pairs,
                    "seeds": len(seeds),
                    "utility": results.stack(entrant.name, seeds).mean(1).tolist(),
                    "correct": float(results.stack(entrant.name, seeds, "correct").mean()),
                    "win_rate": _rate(crossed(outcomes(against.ravel(), EPSILON).reshape(against.shape))),
                    "difference": crossed(against),
                }
            )
    return rows


def _rate(found: Interval) -> Interval:
    """Of a share, what lies in [0, 1]."""
    return Interval(found.value, max(0.0, found.low), min(1.0, found.high))


def claims(results: Results) -> list[tuple[Claim, int, Interval]]:
    """Every claim whose two sides have run, with the number of seeds and the paired difference."""
    found = []
    for claim in CLAIMS:
        if seeds := results.seeds(claim.better, claim.worse):
            found.append((claim, len(seeds), crossed(results.difference(claim.better, claim.worse))))
    return found


def markdown(results: Results, tuned: Mapping[str, Mapping[str, float]]) -> str:
    """The two tables of docs/results/methods.md."""
    base = sum(results.base["utility"]) / len(results.base["utility"])
    right = sum(results.base["correct"]) / len(results.base["correct"])
    lines = ["| method | | tuned to | seeds | utility − base (95 %) | win rate (95 %) | correct |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    lines += [f"| (base) | | | | 0 (utility {base:.3f}) | 0.5 | {right:.1%} |"]
    lines += [_standing(row, tuned[row["name"]]) for row in standings(results)]
    lines += ["", "| claim | seeds | difference of utility (95 %) | here |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {claim.says} (`{claim.better}` > `{claim.worse}`) | {seeds} | {_signed(found)} | {reading(found)} |"
        for claim, seeds, found in claims(results)
    ]
    return "\n".join(lines) + "\n"


def _standing(row: Mapping[str, Any], settings: Mapping[str, float]) -> str:
    shown = ", ".join(f"{name} {value:g}" for name, value in settings.items())
    rate: Interval = row["win_rate"]
    cells = (
        f"`{row['name']}`",
        row["says"],
        shown,
        str(row["seeds"]),
        _signed(row["difference"]),
        f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})",
        f"{row['correct']:.1%}",
    )
    return f"| {' | '.join(cells)} |"


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def picture(results: Results, path: Path) -> None:
    """Each entrant's difference against the base: interval, mean, and a dot for each seed."""
    from matplotlib.figure import Figure

    rows = sorted(standings(results), key=lambda row: row["difference"].value)
    canvas = Figure(figsize=(7.5, 0.6 + 0.28 * len(rows)), layout="constrained", dpi=110)
    axes = canvas.subplots()
    base = sum(results.base["utility"]) / len(results.base["utility"])
    for height, row in enumerate(rows):
        found: Interval = row["difference"]
        if math.isfinite(found.low):
            axes.plot([found.low, found.high], [height, height], color="#2357c4", linewidth=2)
        axes.plot([utility - base for utility in row["utility"]], [height] * row["seeds"], ".", color="#8a8a8a")
        axes.plot(found.value, height, "o", color="#2357c4")
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set(yticks=range(len(rows)), yticklabels=[f"{row['name']} ({row['seeds']})" for row in rows])
    axes.set(xlabel="utility − base: mean, 95 % interval over seeds and prompts, and each seed")
    axes.grid(axis="x", alpha=0.3)
    with atomic_file(path) as temporary:
        canvas.savefig(temporary, format="png")


def write_utilities(results: Results, path: Path) -> None:
    """A row a picture: entrant, seed, prompt, utility, correct; the base has seed −1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    runs = [(BASE, -1, results.base)]
    runs += [(name, seed, run) for name, seeds in results.found.items() for seed, run in seeds.items()]
    columns: dict[str, list[Any]] = {"entrant": [], "seed": [], "prompt": [], "utility": [], "correct": []}
    for name, seed, run in runs:
        count = len(run["utility"])
        columns["entrant"] += [name] * count
        columns["seed"] += [seed] * count
        columns["prompt"] += range(count)
        columns["utility"] += run["utility"]
        columns["correct"] += [value > 0 for value in run["correct"]]
    types = {"seed": pa.int8(), "prompt": pa.int16(), "utility": pa.float32()}
    table = pa.table({name: pa.array(values, types.get(name)) for name, values in columns.items()})
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
