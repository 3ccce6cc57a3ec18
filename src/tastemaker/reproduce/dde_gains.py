"""By how much DDE lies above the base, as a share of the base's mean, beside the gains that the paper prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tastemaker.base.files import write_json
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce import published
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import Paper, scored
from tastemaker.reproduce.output import finite
from tastemaker.reproduce.results import Results, crossed
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of

METRICS = {"CLIP": "CLIP", "HPSv2": "HPS", "PickScore": "PickScore"}
"""Judge → what the paper calls it; our source does not say which version of HPS."""
PRINTED = {"published SD1.5": "sd15", "published SDXL": "sdxl"}


@dataclass(frozen=True)
class Gain:
    """Of a judge: the base's mean, and the arm's mean above it as a share of it."""

    judge: str
    base: float
    gain: Interval | None
    """None where the base's mean is not above 0, so that a share of it says nothing."""


@dataclass(frozen=True)
class Gains:
    """The table (`exhibit.Exhibit`)."""

    key: str
    paper: Paper
    title: str
    model: str
    arm: Arm

    @property
    def arms(self) -> list[Arm]:
        """DDE's."""
        return [self.arm]

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base and the arm, scored."""
        return scored(shop, self.model, self.arms, seeds)

    def write(self, results: Results, folder: Path) -> str:
        """The table and `<key>.json`."""
        seeds = results.seeds_of(self.arm)
        if not (seeds and results.has_base(self.model)):
            return ""
        found = [self._gain(results, judge.name) for judge in results.shop.profile.judges]
        plain = [asdict(each) for each in found]
        write_json(folder / f"{self.key}.json", finite({"title": self.title, "seeds": seeds, "gains": plain}))
        said = f"{len(seeds)} seeds. The base's mean, of which the gains are a share, counts as exact."
        return "\n".join([f"### {self.title}", "", *rows_of(list(_rows(found))), "", said, ""])

    def _gain(self, results: Results, judge: str) -> Gain:
        base = float(results.scores(None, judge, [0], self.model).mean())
        if base <= 0:
            return Gain(judge, base, None)
        return Gain(judge, base, crossed(results.difference(self.arm, None, judge) / base))


def _rows(found: Sequence[Gain]) -> Iterator[list[str]]:
    yield ["metric", "base", "DDE's gain (95 %)", *PRINTED]
    for each in found:
        shown = interval(each.gain, "+.1%") or "–"
        yield [each.judge, f"{each.base:.3f}", shown, *_printed(METRICS.get(each.judge, ""))]
    here = {METRICS.get(each.judge) for each in found}
    for name in METRICS.values():
        if name not in here:
            yield [f"{name} (no judge here)", "", "", *_printed(name)]


def _printed(metric: str) -> Iterator[str]:
    for model in PRINTED.values():
        gain = published.DDE_GAINS[model].get(metric)
        yield "" if gain is None else f"{gain:+.1%}"
