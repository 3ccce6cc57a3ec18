"""Where an exported subset comes from: what its ranking and its data folder say of themselves."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.data.store import COMPARISONS
from tastemaker.rank.layouts import Format, carried
from tastemaker.rank.pairs import DISCARDED, SCHEMA, read_settings
from tastemaker.rank.pairs import NAME as PAIRS
from tastemaker.rank.prompts import distribution

ORIGINS = ("source", "image_a", "image_b", "model_a", "model_b")


@dataclass(frozen=True)
class Export:
    """What was asked for."""

    ranked: Path
    data: Path
    out: Path
    formats: tuple[Format, ...]
    license: str | None

    @property
    def command(self) -> str:
        """The command line that writes this export."""
        words = ["tastemaker", "subset", str(self.ranked), "--data", str(self.data), "--out", str(self.out)]
        words += ["--format", *self.formats]
        return shlex.join(words + (["--license", self.license] if self.license else []))


@dataclass(frozen=True)
class Told:
    """What the comparisons say of where the kept images come from."""

    models: dict[str, str]
    """Image (sha) → what made it, where that is known."""
    sources: Counter[str]
    """File → comparisons of the data folder that were read from it."""


@dataclass(frozen=True)
class Facts:
    """What the card says, but for its words."""

    export: Export
    settings: Mapping[str, Any]
    """The metadata of the ranked pairs."""
    ranking: Mapping[str, Any]
    """`summary.json` of the ranking; empty where there is none."""
    imported: Mapping[str, Any]
    """`summary.json` of the data; empty where there is none."""
    sources: Mapping[str, int]
    """File → comparisons read from it."""
    kept: int
    """Rows."""
    dropped: Mapping[str, int]
    """Reason → rows."""
    origins: Mapping[str, int]
    """Where the kept rows come from, where the ranking says it."""
    spread: Mapping[str, Mapping[str, float]]
    """What → `prompts.distribution`, and ``rows`` and ``most`` (rows of the prompt that has most)."""
    disagree: float | None
    """Share of the kept pairs whose loser has the higher ψ; None for single images."""
    lowest: float
    """The least quality that is kept."""
    columns: tuple[str, ...]
    """Numbers of the ranking that every row has."""

    @property
    def singles(self) -> bool:
        """Whether the rows are images that were judged alone."""
        return self.disagree is None


def read_facts(export: Export, sources: Mapping[str, int]) -> Facts:
    """What the ranking and the data say. Raises `UserError` for a damaged file."""
    kept, left = (read_ranked(export.ranked / name) for name in (PAIRS, DISCARDED))
    reasons = Counter(left["reason"].to_pylist())
    winner, loser = kept["psi_winner"], kept["psi_loser"]
    pairs = not winner.null_count and not loser.null_count
    return Facts(
        export,
        settings=read_settings(export.ranked),
        ranking=_summary(export.ranked),
        imported=_summary(export.data),
        sources=sources,
        kept=len(kept),
        dropped=reasons,
        origins=Counter(kept["origin"].to_pylist()) if "origin" in kept.column_names else {},
        spread=_spread(kept, left.filter(pc.is_valid(left["quality"]))),
        disagree=float(np.mean(np.asarray(winner) < np.asarray(loser))) if pairs else None,
        lowest=float(pc.min(kept["quality"]).as_py()),
        columns=tuple(field.name for field in carried(kept.schema)),
    )


def read_ranked(path: Path) -> pa.Table:
    """`pairs.parquet` or `discarded.parquet` with columns newer than `SCHEMA`; raises `UserError` naming the file."""
    if not path.exists():
        raise UserError(f"{path}: no such file; make it with: tastemaker rank DATA --scorer NAME --out {path.parent}")
    try:
        table = pq.read_table(path, partitioning=None)
        newer = [name for name in table.column_names if name not in SCHEMA.names]
        return table.select([*SCHEMA.names, *newer])
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(
            f"{path}: not readable as ranked pairs ({_text(error)}); rank again into another --out"
        ) from None


def read_told(data: Path, pairs: pa.Table) -> Told:
    """What made the images of ``pairs``, and the files that the comparisons of ``data`` were read from."""
    wanted = pc.unique(pa.chunked_array([*pairs["winner"].chunks, *pairs["loser"].chunks])).drop_null()
    told, path = Told({}, Counter()), comparisons_path(data)
    try:
        for batch in pq.ParquetFile(path).iter_batches(columns=list(ORIGINS)):
            told.sources.update(batch["source"].to_pylist())
            for side in "ab":
                images, models = batch[f"image_{side}"], batch[f"model_{side}"]
                known = pc.and_(pc.is_in(images, value_set=wanted), pc.not_equal(models, ""))
                told.models.update(zip(images.filter(known).to_pylist(), models.filter(known).to_pylist(), strict=True))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{path}: not readable as comparisons ({_text(error)}); import the data again") from None
    return told


def comparisons_path(data: Path) -> Path:
    """The comparisons of a data folder; raises `UserError` where there are none."""
    path = data / COMPARISONS
    if not path.is_file():
        raise UserError(f"{path}: no such file; make it with `tastemaker import`")
    return path


def _spread(kept: pa.Table, left: pa.Table) -> dict[str, dict[str, float]]:
    """Of the kept rows, and of all that have a quality."""
    prompts = pa.chunked_array([*kept["prompt_sha"].chunks, *left["prompt_sha"].chunks], pa.string())
    codes = prompts.combine_chunks().dictionary_encode().indices.to_numpy()
    parts = {"kept": codes[: len(kept)], "all that could be ranked": codes}
    return {
        name: {"rows": len(part), "most": int(np.bincount(part).max()), **distribution(part)}
        for name, part in parts.items()
    }


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / summary.NAME
    return files.read_json(path) if path.is_file() else {}


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
