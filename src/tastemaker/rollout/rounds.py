"""A round on disk: a data folder (images and comparisons) that `score`, `rank` and `encode` read like any other.

rounds/round-000/images/, comparisons.parquet    as `import` writes them
rounds/round-000/rollouts.parquet                prompt_index, prompt, sample, sha
rounds/round-000/rewards.parquet                 prompt_index, sample, scorer, raw
rounds/round-000/choices.parquet                 prompt, a, b, label
rounds/round-000/trajectories/                   of the newest rounds (`rollout.shards`)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tastemaker.base import files
from tastemaker.data.comparison import Comparison
from tastemaker.data.store import write_comparisons, write_images
from tastemaker.evaluate import diversity
from tastemaker.evaluate.contact_sheet import grid
from tastemaker.evaluate.images import open_png
from tastemaker.evaluate.journal import read_table
from tastemaker.rollout.choices import Choice, name_of
from tastemaker.rollout.feedback import Round
from tastemaker.score.batches import score_batch

if TYPE_CHECKING:
    import pyarrow as pa

    from tastemaker.score.scorer import Scorer

Build = Callable[[str], "Scorer"]
"""From a scorer's spec to the scorer; the command line knows them all."""
FOLDER, CHOICES, REWARDS, ROLLOUTS, GRID = (
    "rounds",
    "choices.parquet",
    "rewards.parquet",
    "rollouts.parquet",
    "grid.png",
)
SHOWN = 8
"""Prompts on a round's grid."""


def path_of(run: Path, number: int) -> Path:
    """The folder of round ``number``."""
    return run / FOLDER / f"round-{number:03d}"


def rewards(
    specs: Sequence[str], build: Build, prompts: Sequence[str], pngs: Sequence[Sequence[bytes]]
) -> dict[str, Any]:
    """Spec → raw scores [P, K] of the images of a round, each distinct scorer asked once."""
    pictures = [open_png(png) for images in pngs for png in images]
    texts = [prompt for prompt, images in zip(prompts, pngs, strict=True) for _ in images]
    shape = (len(pngs), len(pngs[0]))
    return {spec: score_batch(build(spec), texts, pictures).reshape(shape) for spec in dict.fromkeys(specs)}


def write(round: Round, choices: Sequence[Choice], judge: str) -> None:
    """Write what a judged round leaves behind."""
    import pyarrow as pa

    shas = write_images(round.folder, [png for images in round.pngs for png in images])
    write_comparisons(round.folder, _comparisons(round, choices, shas, judge))
    places = [(p, s) for p in range(len(round.prompts)) for s in range(round.samples)]
    rows = [
        {"prompt_index": p, "prompt": round.prompts[p], "sample": s, "sha": sha}
        for (p, s), sha in zip(places, shas, strict=True)
    ]
    _write_table(round.folder / ROLLOUTS, pa.Table.from_pylist(rows))
    scored = [
        {"prompt_index": p, "sample": s, "scorer": spec, "raw": float(raw[p, s])}
        for spec, raw in round.rewards.items()
        for p, s in places
    ]
    if scored:
        _write_table(round.folder / REWARDS, pa.Table.from_pylist(scored))
    _write_table(round.folder / CHOICES, _choice_table(choices))
    with files.atomic_file(round.folder / GRID) as temporary:
        shown = [open_png(png) for images in round.pngs[:SHOWN] for png in images]
        grid(shown, round.samples).save(temporary, format="png")


def read_choices(folder: Path) -> list[Choice]:
    """The choices of a judged round."""
    return [Choice(**row) for row in read_table(folder / CHOICES).to_pylist()]


def figures(round: Round, choices: Sequence[Choice]) -> dict[str, float]:
    """What a round says of the model: mean rewards, diversity, comparisons and the share of ties among them."""
    means = {f"reward/{spec}": float(raw.mean()) for spec, raw in round.rewards.items()}
    labels = Counter(choice.label for choice in choices)
    ties = labels["tie"] / len(choices) if choices else 0.0
    alike = [diversity.spread(diversity.pixels(map(open_png, pngs)), diversity.rms) for pngs in round.pngs]
    return means | {"diversity": float(np.mean(alike)), "comparisons": len(choices), "ties": ties}


def _comparisons(round: Round, choices: Sequence[Choice], shas: Sequence[str], judge: str) -> Iterator[Comparison]:
    for p, a, b, label in choices:
        pair_id = f"{round.number:03d}-{name_of(p, a)}-{b}"
        one, two = (shas[p * round.samples + sample] for sample in (a, b))
        yield Comparison(pair_id, round.prompts[p], one, two, label, source=f"round {round.number}", judge=judge)


def _choice_table(choices: Sequence[Choice]) -> pa.Table:
    import pyarrow as pa

    types = [pa.int32(), pa.int32(), pa.int32(), pa.string()]
    columns = zip(*choices, strict=True) if choices else [[]] * len(types)
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, types, strict=True)], Choice._fields)


def _write_table(path: Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    with files.atomic_file(path) as temporary:
        pq.write_table(table, temporary)
