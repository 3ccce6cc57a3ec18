"""What a ranking has to say: how far people and scorer agree, the order and its cut, the prompts, the ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.errors import UserError
from tastemaker.report import gallery, plots, spread
from tastemaker.report.page import Gallery, Section

if TYPE_CHECKING:
    import numpy as np

SHOWN = 6
"""Pairs at each end of the order."""
ENDS: dict[plots.Kind, tuple[str, str]] = {
    "pairs": (
        "The scorer is sure that the winner is good and the loser is not.",
        "The scorer would have chosen the other image, or likes neither.",
    ),
    "images": ("The scorer is of the people's opinion.", "The scorer is of the opposite opinion."),
}
"""What the ends of the order have in common, best and worst."""
NUMBERS = ["prompt_sha", "psi_winner", "psi_loser", "quality"]


@dataclass(frozen=True, eq=False)
class Ranked:
    """The numbers of n rows that have a quality, the kept ones first; a million of them take some tens of megabytes."""

    folder: Path
    kept: int
    cut: np.ndarray
    """bool [n]: kept, or left out because of the cut alone"""
    place: np.ndarray
    """int64 [n]: the row in its file"""
    prompt: np.ndarray
    """int32 [n]: the prompt's number"""
    psi_winner: np.ndarray
    """float32 [n], NaN where there is no winner"""
    psi_loser: np.ndarray
    quality: np.ndarray

    @property
    def kind(self) -> plots.Kind:
        """Whether two images or one stand in the rows."""
        import numpy as np

        return "images" if np.isnan(self.psi_winner + self.psi_loser).any() else "pairs"

    def rows(self, wanted: Sequence[int]) -> list[dict[str, Any]]:
        """The whole rows with these numbers, in this order; the files are read in parts."""
        files = {name: [row for row in wanted if (row < self.kept) == (name == "pairs")] for name in FILES}
        found = {
            row: values
            for name, rows in files.items()
            for row, values in zip(rows, _rows(self.folder / f"{name}.parquet", self.place[rows].tolist()), strict=True)
        }
        return [found[row] for row in wanted]


FILES = ("pairs", "discarded")


def section(ranked: Path, data: Path | None) -> Section:
    """How far scorer and labels agree, sorted quality with the cut, prompts, and (given ``data``) the ends."""
    import numpy as np

    found = read(ranked)
    quality, kept = found.quality[found.cut], found.kept
    by_quality = kept == len(quality) or quality[:kept].min() >= quality[kept:].max()
    psi = found.psi_winner, found.psi_loser
    figures = (
        plots.margins(*psi) if found.kind == "pairs" else plots.verdicts(*(side[~np.isnan(side)] for side in psi)),
        plots.sorted_quality(quality, kept if by_quality else None, of=found.kind),
        spread.prompts(found.prompt, found.prompt[:kept], of=found.kind),
    )
    return Section("Which comparisons to trust", figures + (_ends(found, data) if data else ()))


def read(ranked: Path) -> Ranked:
    """The numbers of a ranking; raises `UserError` naming a missing or damaged file, or one without a pair."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from tastemaker.evaluate.journal import read_table

    kept, left = (
        read_table(ranked / f"{name}.parquet", NUMBERS + ["reason"] * (name == "discarded")) for name in FILES
    )
    if not len(kept):
        raise UserError(f"{ranked / 'pairs.parquet'}: holds no pair; rank again with a larger --fraction")
    place = np.flatnonzero(np.asarray(left["quality"].is_valid()))
    left = left.take(place)
    both = pa.concat_tables([kept, left.select(NUMBERS)]).combine_chunks()
    prompt = both["prompt_sha"].combine_chunks().dictionary_encode().indices.to_numpy()
    numbers = (both[name].to_numpy().astype(np.float32) for name in NUMBERS[1:])
    cut = np.concatenate([np.ones(len(kept), bool), np.asarray(pc.equal(left["reason"], "cut"))])
    return Ranked(ranked, len(kept), cut, np.concatenate([np.arange(len(kept)), place]), prompt, *numbers)


def scorers(ranked: Path) -> list[str]:
    """Ids of the scorers of a ranking, as far as its metadata say."""
    import json

    import pyarrow.parquet as pq

    said = json.loads((pq.read_schema(ranked / "pairs.parquet").metadata or {}).get(b"scorer", b"[]"))
    return [said] if isinstance(said, str) else list(said)


def _ends(found: Ranked, data: Path) -> tuple[Gallery, ...]:
    """The best and the worst of those that the cut looked at."""
    import numpy as np

    order = np.flatnonzero(found.cut)
    order = order[np.argsort(-found.quality[order], kind="stable")]
    count, kind = min(SHOWN, len(order) // 2), found.kind
    ends = {"Best": order[:count].tolist(), "Worst": order[::-1][:count].tolist()}
    rows = {end: found.rows(wanted) for end, wanted in ends.items()}
    raw = raw_scores(data, scorers(found.folder), [row for end in rows.values() for row in end])
    legend = " Under each image: ψ, and what the scorer gave it before calibration." if any(raw.values()) else ""
    return tuple(
        gallery.pairs(f"{end} {kind} by Q", rows[end], data, says + legend, raw)
        for end, says in zip(ends, ENDS[kind], strict=True)
    )


def raw_scores(
    data: Path, ids: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """(image, prompt_sha) → ``scorer raw score`` for each of the scorers that have scored ``data`` and it."""
    import numpy as np
    import pyarrow as pa

    from tastemaker.score.scores import read_scores, scored_by

    keys = sorted({(row[role], row["prompt_sha"]) for row in rows for role in ("winner", "loser") if row[role]})
    said: dict[tuple[str, str], tuple[str, ...]] = dict.fromkeys(keys, ())
    columns = [pa.array(list(column), pa.string()) for column in zip(*keys, strict=True)]
    for scorer in (name for name in ids if keys and name in scored_by(data)):
        for key, raw in zip(keys, read_scores(data, scorer).find(*columns).tolist(), strict=True):
            if np.isfinite(raw):
                said[key] += (f"{scorer.partition('@')[0]} {raw:#.3g}",)
    return said


def _rows(path: Path, wanted: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Rows by number, in the order given; a part of the file at a time is in memory."""
    import pyarrow.parquet as pq

    found: dict[int, dict[str, Any]] = {}
    start = 0
    for batch in pq.ParquetFile(path).iter_batches() if wanted else ():
        inside = [row for row in wanted if start <= row < start + len(batch)]
        found |= {row: batch.slice(row - start, 1).to_pylist()[0] for row in inside}
        start += len(batch)
    return (found[row] for row in wanted)
