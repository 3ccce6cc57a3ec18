"""Figures of each metric against samples used: arms that read their pairs once, at every checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import write_json
from tastemaker.reproduce import curve_reading
from tastemaker.reproduce.curve_reading import Apart, Line, Peak
from tastemaker.reproduce.exhibit import OfArms
from tastemaker.reproduce.output import finite, save
from tastemaker.reproduce.results import ALPHA, SURE, Results, reading
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#2357c4", "#b4501e")
CAPTION = (
    "Lines are means over seeds and prompts, bands run from the lowest seed to the highest and are no intervals; the "
    f"grey line is the base. A ring marks the peak of a line with {SURE} seeds or more."
)
PEAK_HEAD = ["line", "judge", "seeds", "peak after pairs", "there (95 %)", "end − peak (95 %)", "then"]
ABOUT_PEAKS = (
    "Each seed's peak is looked for in the other seeds and on one half of the prompts, and told of that seed on the "
    "other half: what is highest by luck is not flattered. In brackets: where the seeds disagree. Intervals are not "
    'corrected, "then" is, for all rows (Holm). The paper\'s curves have a peak, then fall or stay level; that one '
    "stays level cannot be proved by such a test."
)
ABOUT_APART = (
    "Marked *: p ≤ {} after Holm, of the means over the {} judges, of the rest over all {} cells; intervals are not "
    "corrected."
)


@dataclass(frozen=True)
class Curve(OfArms):
    """A line an arm, the first compared with each other one (`exhibit.Exhibit`)."""

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base, and every checkpoint of every arm."""
        yield shop.base(self.model)
        for seed in seeds:
            yield from (shop.curve(arm, seed) for arm in self.arms)

    def write(self, results: Results, folder: Path) -> str:
        """`<key>.png`, its numbers in `<key>.json`, where lines have their peaks, and which lies above which."""
        lines = [curve_reading.read(results, arm) for arm in self.arms]
        if not any(line.seeds for line in lines):
            return ""
        peaks = curve_reading.peaks(lines)
        apart = {label: curve_reading.apart(lines[0], line) for label, line in self._others(lines)}
        self._draw(results, lines, peaks, folder / f"{self.key}.png")
        write_json(folder / f"{self.key}.json", self._plain(lines, peaks, apart))
        said = [f"### {self.title}", "", f"![{self.title}]({self.key}.png)", "", CAPTION, "", *self._counted(lines), ""]
        said += self._peaks(lines, peaks)
        for label, rows in apart.items():
            said += self._apart(label, rows)
        return "\n".join(said)

    def _others(self, lines: Sequence[Line]) -> Iterator[tuple[str, Line]]:
        return zip(self.labels[1:], lines[1:], strict=True)

    def _counted(self, lines: Sequence[Line]) -> Iterator[str]:
        for label, line in zip(self.labels, lines, strict=True):
            yield f"- {label} ({_seeds(line)})"
            if line.left:
                yield f"- {label}, left out for other checkpoints than most: seed {', '.join(map(str, line.left))}"

    def _peaks(self, lines: Sequence[Line], peaks: Sequence[Sequence[Peak]]) -> list[str]:
        named = zip(self.labels, lines, peaks, strict=True)
        rows = [[label, *_peak(len(line.seeds), one)] for label, line, some in named for one in some]
        return [*rows_of([PEAK_HEAD, *rows]), "", ABOUT_PEAKS, ""] if rows else []

    def _apart(self, label: str, rows: Sequence[Apart]) -> list[str]:
        """A row a number of pairs, a column a judge; then in words what the mean of all says."""
        if not rows:
            return []
        judges = list(dict.fromkeys(row.judge for row in rows))
        head = [f"{self.labels[0]} − {label} (95 %), after pairs", *judges]
        counts = dict.fromkeys(row.pairs for row in rows)
        cells = [[_after(count), *(_cell(row) for row in rows if row.pairs == count)] for count in counts]
        said = [f"- {row.judge}: {reading(row.by, SURE, row.p)}" for row in rows if row.every]
        about = ABOUT_APART.format(ALPHA, len(judges), len(rows) - len(judges))
        claim = f"Our own claim: in the mean of all checkpoints {self.labels[0]} lies above {label} at as many pairs."
        return [*rows_of([head, *cells]), "", about, "", claim, "", *said, ""]

    def _plain(
        self, lines: Sequence[Line], peaks: Sequence[Sequence[Peak]], apart: dict[str, list[Apart]]
    ) -> dict[str, Any]:
        named = list(zip(self.arms, lines, peaks, strict=True))
        found = [_means(line, judge) | {"arm": arm.name} for arm, line, _ in named for judge in line.scores]
        tops = [asdict(one) | {"arm": arm.name, "then": one.then} for arm, _, some in named for one in some]
        above = {label: [asdict(row) for row in rows] for label, rows in apart.items()}
        return {"title": self.title, "lines": found, "peaks": finite(tops), "above": finite(above)}

    def _draw(self, results: Results, lines: Sequence[Line], peaks: Sequence[Sequence[Peak]], path: Path) -> None:
        from matplotlib.figure import Figure

        judges = results.shop.profile.judges
        canvas = Figure(figsize=(3.6 * len(judges), 3), layout="constrained", dpi=110)
        for axes, judge in zip(canvas.subplots(1, len(judges), squeeze=False)[0], judges, strict=True):
            if results.has_base(self.model):
                base = results.scores(None, judge.name, [0], self.model).mean()
                axes.axhline(base, color="#8a8a8a", linewidth=0.8)
            for label, line, some, colour in zip(self.labels, lines, peaks, COLOURS, strict=False):
                _line(axes, line, judge.name, label, colour)
                _ring(axes, line, [one for one in some if one.judge == judge.name], colour)
            axes.set(title=judge.name, xlabel="pairs used")
            axes.grid(alpha=0.3)
        axes.legend()
        save(canvas, path)


def _seeds(line: Line) -> str:
    if not line.seeds:
        return "not run yet"
    too_few = "too few prompts" if len(line.seeds) >= SURE else "too few"
    few = "" if line.told else f", {too_few} to say where it peaks, or whether it falls"
    return f"seeds: {len(line.seeds)}{few}"


def _peak(seeds: int, one: Peak) -> list[str]:
    low, high = min(one.places), max(one.places)
    where = f"{one.after:,}" + (f" ({low:,} to {high:,})" if low != high else "")
    fall = "–" if low == one.last else interval(one.fall, "+.3f")
    return [one.judge, str(seeds), where, interval(one.height, ".3f"), fall, one.then]


def _after(pairs: int | None) -> str:
    return "mean of all" if pairs is None else f"{pairs:,}"


def _cell(row: Apart) -> str:
    return interval(row.by, "+.3f") + (" *" if row.p <= ALPHA else "")


def _means(line: Line, judge: str) -> dict[str, Any]:
    means = line.scores[judge].mean(2).tolist()
    return {"judge": judge, "seeds": line.seeds, "left out": line.left, "pairs": line.pairs, "means": means}


def _line(axes: Axes, line: Line, judge: str, label: str, colour: str) -> None:
    if not line.seeds:
        return
    means = line.scores[judge].mean(2)
    axes.fill_between(line.pairs, means.min(0), means.max(0), color=colour, alpha=0.2, linewidth=0)
    axes.plot(line.pairs, means.mean(0), color=colour, marker=".", label=f"{label}, seeds: {len(means)}")


def _ring(axes: Axes, line: Line, peaks: Sequence[Peak], colour: str) -> None:
    for one in peaks:
        height = line.scores[one.judge].mean((0, 2))[line.pairs.index(one.after)]
        axes.plot(one.after, height, "o", markersize=10, markerfacecolor="none", color=colour)
